# What is frozen into every board's image.
options.defaults(library_opt=0)

include("$(MPY_DIR)/extmod/asyncio")
module("XAsyncSockets.py", base_path="lib", opt=options.library_opt)
package("firmware", opt=options.library_opt)
module("web_page.py", base_path="build/page", opt=options.library_opt)  # made by tools/page.py
