//! What the adapter does, exactly: the adapter runs on another engine, with a preview 1 that says what a test wants and writes down what
//! it was asked.

mod files;
mod lists;
mod machine;
mod nonsense;
mod poll;
mod streams;
mod values;
