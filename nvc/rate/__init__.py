"""Where a video's bits go in time: which qp each frame gets, constant or steered towards a target.

`control` says what a controller is, `cost` models what a frame costs at a qp, `one_pass` steers without
knowing what comes, `planned` with what an earlier pass measured, `target` chooses by the settings.
"""
