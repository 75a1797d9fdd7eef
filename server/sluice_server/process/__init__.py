"""The serving process: its parts put together, the model loaded, the process started and stopped.

What needs the whole process lives here. What one request needs is in `http` and below. `fetch` is another process;
neither imports the other.
"""
