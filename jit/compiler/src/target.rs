//! The processor that code is compiled for, and the code generator's settings.

use crate::error::CompileError;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{Configurable, Flags, SettingKind, builder as flags_builder};
use std::sync::OnceLock;

/// x86-64 extensions without which Cranelift would call into a C library (`ceil`, `fma`, …) or cannot shuffle vectors.
const REQUIRED_X86: [&str; 6] = ["has_sse3", "has_ssse3", "has_sse41", "has_sse42", "has_avx", "has_fma"];

/// x86-64 extensions that code does not use. Its vectors have 128 bits, for which they would add little except encodings that the
/// verifier would have to know.
const UNUSED_X86: [&str; 7] = [
    "has_avx_vnni",
    "has_avx512vnni",
    "has_avx512bitalg",
    "has_avx512dq",
    "has_avx512f",
    "has_avx512vl",
    "has_avx512vbmi",
];

/// A target: built once per process for each combination of options.
pub(crate) struct Target {
    pub(crate) isa: OwnedTargetIsa,
    /// The features that the code may use, for [`wave_contract::image::CodeImage::processor`].
    pub(crate) processor: String,
}

/// What a target is built for.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) verify_ir: bool,
    pub(crate) canonical_nans: bool,
    /// Off for functions whose shape makes optimization take too long.
    pub(crate) optimize: bool,
}

/// The features of this processor that code may use, for [`wave_contract::image::CodeImage::processor`].
///
/// # Errors
/// [`CompileError::Processor`] if it lacks one that code needs.
pub fn processor() -> Result<&'static str, CompileError> {
    target(Settings { verify_ir: false, canonical_nans: false, optimize: true }).map(|target| &*target.processor)
}

/// The target for these settings.
pub(crate) fn target(settings: Settings) -> Result<&'static Target, CompileError> {
    static TARGETS: [OnceLock<Result<Target, String>>; 8] = [const { OnceLock::new() }; 8];
    let Settings { verify_ir, canonical_nans, optimize } = settings;
    let slot = &TARGETS[usize::from(verify_ir) | usize::from(canonical_nans) << 1 | usize::from(optimize) << 2];
    let target = slot.get_or_init(|| build(settings));
    target.as_ref().map_err(|message| CompileError::Processor(message.clone()))
}

fn build(settings: Settings) -> Result<Target, String> {
    let Settings { verify_ir, canonical_nans, optimize } = settings;
    let on = |on: bool| if on { "true" } else { "false" };
    let mut flags = flags_builder();
    for (name, value) in [
        ("opt_level", if optimize { "speed" } else { "none" }),
        ("regalloc_algorithm", "backtracking"),
        ("enable_verifier", on(verify_ir)),
        ("enable_nan_canonicalization", on(canonical_nans)),
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
    let mut builder = cranelift_native::builder().map_err(str::to_owned)?;
    for name in UNUSED_X86.into_iter().filter(|_| cfg!(target_arch = "x86_64")) {
        builder.set(name, "false").map_err(|error| format!("code generator refuses {name}=false: {error}"))?;
    }
    let isa = builder.finish(Flags::new(flags)).map_err(|error| error.to_string())?;

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
