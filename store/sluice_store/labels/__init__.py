"""Labels: true answers for predictions, each of which counts once however often it comes."""
