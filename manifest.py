# What is frozen into every board's image.
include("$(MPY_DIR)/extmod/asyncio")
module("XAsyncSockets.py", base_path="lib")
package("firmware")
