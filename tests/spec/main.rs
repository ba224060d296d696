//! Modules from elsewhere: the suites of WebAssembly and WASI, CPython, hardware design, and damaged ones.

mod cpython;
mod damaged;
mod misc;
mod scripts;
mod wasi;
