"""How an asset's folder is made of its packages: one module each, `build(asset, packages, folder)`.

`packages` holds the checked package files by the name of the package. The same packages give the same files.
"""
