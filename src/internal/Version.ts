/** This package's version. Not read from package.json, which is not there in a bundle. */
export const version = "0.1.0"
