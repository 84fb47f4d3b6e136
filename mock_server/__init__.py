"""The simulator: a Flask application (`app`) over an engine that knows nothing of HTTP (`simulator`).

Nothing is imported here: granian's main process and the engine do without Flask.
"""
