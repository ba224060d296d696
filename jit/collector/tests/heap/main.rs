//! The collector on another engine, beside a model of what it must do.
//!
//! The model has each object's bytes and knows exactly which objects the candidates reach. After each collection the heap must have these
//! objects and no others, and every other cell must be in the free list of its class, once.

#![allow(clippy::cast_possible_truncation, reason = "a random number is truncated to an index")]

mod corrupt;
mod limits;
mod machine;
mod model;
mod mutations;
mod random;
mod shapes;
