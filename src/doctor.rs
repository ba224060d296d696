//! `wave doctor`: which layers this kernel and processor can provide.

use crate::args::{Doctor, Format};
use crate::platform::doctor::{levels, remarks};
use crate::style;
use crate::text::{clean, json, out, out_painted};
use serde::Serialize;
use wave_engine::Failure;
use wave_engine::cache::has_key;
use wave_sandbox::{LayerProbe, Presence};

/// What a layer says that every level but off needs.
const NOTHING_RUNS: &str = "nothing runs";

/// Prints what each layer finds. Exit code 1 when `strict` would refuse to run.
///
/// # Errors
/// When the answer cannot be written.
pub fn doctor(arguments: &Doctor) -> Result<u8, Failure> {
    let layers = wave_sandbox::probe();
    match arguments.format {
        Format::Text => {
            let out = |text: &str| out_painted(text, style::doctor);
            layers.iter().for_each(|layer| out(&line(layer)));
            remarks().iter().for_each(|line| out(line));
            out(&format!("\n{}\n", conclusion(&layers, has_key())));
        }
        Format::Json => {
            let rows: Vec<_> = layers.iter().map(|layer| LayerRow { layer, levels: levels(layer.name) }).collect();
            out(&json(&Answer { facilities: rows })?);
        }
    }
    Ok(u8::from(layers.iter().any(LayerProbe::blocks_strict)))
}

/// What works here, in one line.
fn conclusion(layers: &[LayerProbe], caches: bool) -> String {
    let missing = |layer: &&LayerProbe| matches!(layer.presence, Presence::Missing(_));
    let refusing: Vec<_> = layers.iter().filter(|layer| layer.blocks_strict()).map(|layer| layer.name).collect();
    let stops_standard = layers.iter().filter(missing).any(|layer| layer.without == NOTHING_RUNS);
    let levels = match (refusing.is_empty(), stops_standard) {
        (true, _) => "wave runs here under strict, standard and off".to_owned(),
        (false, false) => {
            format!("wave runs here under standard and off; it refuses strict, for want of: {}", refusing.join(", "))
        }
        (false, true) => format!("wave refuses strict and standard here, for want of: {}", refusing.join(", ")),
    };
    let cache = if caches { "compiled code is cached" } else { "nothing is cached, because the kernel keeps no key" };
    format!("{levels}; {cache}.")
}

#[derive(Serialize)]
struct Answer<T> {
    facilities: Vec<T>,
}

/// One facility in JSON. Landlock's has its levels with it.
#[derive(Serialize)]
struct LayerRow<'a, T> {
    #[serde(flatten)]
    layer: &'a LayerProbe,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    levels: Vec<T>,
}

fn line(layer: &LayerProbe) -> String {
    let (mark, detail) = match &layer.presence {
        Presence::Present(detail) => ("yes", detail),
        Presence::Missing(detail) if layer.required => ("NO", detail),
        Presence::Missing(detail) => ("no", detail),
    };
    let without = match &layer.presence {
        Presence::Missing(_) if !layer.without.is_empty() => format!("    without: {}\n", layer.without),
        _ => String::new(),
    };
    format!("{:<22}{mark:<4} {} [{}]\n{without}", layer.name, clean(detail), layer.needed_for)
}
