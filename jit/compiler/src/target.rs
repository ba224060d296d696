//! The processor that code is made for, and the code generator's settings.

use crate::error::CompileError;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable, SettingKind};
use std::sync::OnceLock;

/// x86-64 extensions without which Cranelift would call into a C library (`ceil`, `fma`, …) or cannot shuffle vectors.
const REQUIRED_X86: [&str; 6] = ["has_sse3", "has_ssse3", "has_sse41", "has_sse42", "has_avx", "has_fma"];

/// A target: built once per process for each combination of options.
pub(crate) struct Target {
    pub(crate) isa: OwnedTargetIsa,
    /// The features that the code may use, for [`wave_contract::image::CodeImage::processor`].
    pub(crate) processor: String,
}

/// The target for these options.
pub(crate) fn target(verify_ir: bool, canonical_nans: bool) -> Result<&'static Target, CompileError> {
    static TARGETS: [OnceLock<Result<Target, String>>; 4] = [const { OnceLock::new() }; 4];
    let slot = &TARGETS[usize::from(verify_ir) | usize::from(canonical_nans) << 1];
    slot.get_or_init(|| build(verify_ir, canonical_nans))
        .as_ref()
        .map_err(|message| CompileError::Processor(message.clone()))
}

fn build(verify_ir: bool, canonical_nans: bool) -> Result<Target, String> {
    let mut flags = settings::builder();
    for (name, value) in [
        ("opt_level", "speed"),
        ("regalloc_algorithm", "backtracking"),
        ("enable_verifier", if verify_ir { "true" } else { "false" }),
        ("enable_nan_canonicalization", if canonical_nans { "true" } else { "false" }),
        // Frames are chains of rbp, and tail calls need them.
        ("preserve_frame_pointers", "true"),
        ("unwind_info", "false"),
        // Frames larger than the guard must not step over it (T55). 2^16 is `STACK_PROBE_BYTES`.
        ("enable_probestack", "true"),
        ("probestack_strategy", "inline"),
        ("probestack_size_log2", "16"),
    ] {
        flags.set(name, value).map_err(|error| format!("code generator refuses {name}={value}: {error}"))?;
    }
    let builder = cranelift_native::builder().map_err(str::to_owned)?;
    let isa = builder.finish(settings::Flags::new(flags)).map_err(|error| error.to_string())?;

    let features: Vec<&str> = isa
        .isa_flags()
        .into_iter()
        .filter(|flag| matches!(flag.kind(), SettingKind::Bool) && flag.as_bool() == Some(true))
        .map(|flag| flag.name)
        .collect();
    if cfg!(target_arch = "x86_64") {
        let missing: Vec<&str> = REQUIRED_X86.into_iter().filter(|name| !features.contains(name)).collect();
        if !missing.is_empty() {
            return Err(format!("missing {}", missing.join(", ")));
        }
    }
    let processor = format!("{} {}", isa.triple(), features.join(" "));
    Ok(Target { isa, processor })
}
