include("../rp2/manifest.py")
