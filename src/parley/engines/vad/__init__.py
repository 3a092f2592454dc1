"""Voice activity detection: is somebody speaking right now?"""
