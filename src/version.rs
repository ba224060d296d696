//! `wave --version --verbose`: the features of WebAssembly.

use std::fmt::Write;
use wave_engine::features::{FEATURES, Support};

/// The version, and each feature with whether it is supported.
pub fn verbose() -> String {
    let mut text = format!("wave {}\n\nfeatures of WebAssembly:\n", env!("CARGO_PKG_VERSION"));
    let width = FEATURES.iter().map(|feature| feature.name.len()).max().unwrap_or(0);
    for feature in FEATURES {
        let (supported, why) = match feature.support {
            Support::Yes => ("yes", String::new()),
            Support::No { why, .. } => ("no", format!(": {why}")),
        };
        let (name, title) = (feature.name, feature.title);
        writeln!(text, "  {supported:<3}  {name:<width$}  {title}{why}").expect("writing to a string cannot fail");
    }
    text
}
