//! `wave doctor`: which layers this kernel and processor can provide.

use crate::args::{Doctor, Format};
use crate::failure::Failure;

/// Prints what each layer finds. Exit code 1 when `strict` would refuse to run.
///
/// # Errors
/// When the answer cannot be written.
pub fn doctor(arguments: &Doctor) -> Result<u8, Failure> {
    let layers = wave_sandbox::probe();
    match arguments.format {
        Format::Text => layers.iter().for_each(|layer| println!("{layer}")),
        Format::Json => println!(
            "{}",
            serde_json::to_string_pretty(&layers)
                .map_err(|error| Failure::refused(format!("cannot write the answer: {error}")))?
        ),
    }
    Ok(u8::from(layers.iter().any(wave_sandbox::LayerProbe::blocks_strict)))
}
