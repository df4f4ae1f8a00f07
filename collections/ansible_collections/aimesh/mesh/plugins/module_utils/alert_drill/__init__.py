"""The alert drill: whether an alert really arrives, hop by hop, and how long each hop takes."""
