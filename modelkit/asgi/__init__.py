"""What both HTTP servers stand on: listening, running until told to stop, bounded bodies."""
