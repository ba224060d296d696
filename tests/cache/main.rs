//! Compiled code: the process that compiles, files of code, and the cache.

mod artifact;
mod compile_worker;
mod entries;
