//! `wave doctor`: which layers this kernel and processor can provide.

use crate::args::{Doctor, Format};
use crate::failure::Failure;
use crate::text::{clean, out};
use wave_sandbox::{LayerProbe, Presence};

/// Prints what each layer finds. Exit code 1 when `strict` would refuse to run.
///
/// # Errors
/// When the answer cannot be written.
pub fn doctor(arguments: &Doctor) -> Result<u8, Failure> {
    let layers = wave_sandbox::probe();
    match arguments.format {
        Format::Text => layers.iter().for_each(|layer| out(&line(layer))),
        Format::Json => out(&(serde_json::to_string_pretty(&layers)
            .map_err(|error| Failure::refused(format!("cannot write the answer: {error}")))?
            + "\n")),
    }
    Ok(u8::from(layers.iter().any(LayerProbe::blocks_strict)))
}

fn line(layer: &LayerProbe) -> String {
    let (mark, detail) = match &layer.presence {
        Presence::Present(detail) => ("yes", detail),
        Presence::Missing(detail) if layer.required => ("NO", detail),
        Presence::Missing(detail) => ("no", detail),
    };
    format!("{:<22}{mark:<4} {} [{}]\n", layer.name, clean(detail), layer.needed_for)
}
