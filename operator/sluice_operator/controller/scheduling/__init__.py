"""Whose turn it is: the work queue with its lanes, and limits to how long anybody waits for others."""
