"""The configuration file and the settings that come of it. Strict: nothing is ignored, nothing is guessed."""
