//! Policies: files, profiles, their comparison and export, and what derives them from a module or a run.

mod audit;
mod diff;
mod export;
mod file;
mod learn;
mod profiles;
mod why;
