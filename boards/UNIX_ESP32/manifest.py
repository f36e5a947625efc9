include("../UNIX/manifest.py")
