"""The simulator: a Flask application (`app`) over an engine that knows nothing of HTTP (`simulator`).

Nothing is imported here: the engine does without Flask.
"""
