//! Components of WASI 0.2 on the real `wave`, under `--sandbox strict`.
//!
//! Those in this directory are text, and always run. The others are built by `tests/components/build` with tools of other people, into the
//! directory that `WAVE_COMPONENTS` names. What each prints is what Wasmtime 49 printed, except where a test says that the specification
//! asks for something else.

mod built;
mod small;
mod suite;
