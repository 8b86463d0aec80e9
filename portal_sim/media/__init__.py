"""Pictures and videos of the identity check: verified, measured, made anew, kept sealed, erased.

The extra [portal] brings what decodes them: Pillow, zxing-cpp and PyAV.
"""
