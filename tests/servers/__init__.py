"""Real and scripted servers for the tests: started on loopback, in a folder of their own, stopped by pid."""
