//! Why a module could not be compiled.

/// Why a module was refused or could not be compiled. Nothing of it has run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The bytes are no valid module, or need a feature that is not supported: [`crate::features::judge`] tells.
    #[error("invalid module at offset {offset:#x}: {message}")]
    Invalid {
        /// What is wrong, in the validator's words.
        message: String,
        /// Offset in the module's bytes.
        offset: u64,
    },
    /// The bytes are a component, not a core module.
    #[error("this is a WebAssembly component; only core modules are supported")]
    Component,
    /// Valid, but beyond what this compiler takes.
    #[error("unsupported at offset {offset:#x}: {what}")]
    Unsupported {
        /// What it is.
        what: String,
        /// Offset in the module's bytes.
        offset: u64,
    },
    /// A size beyond what offsets of 32 bits can address.
    #[error("{what} is too large: {len_bytes} bytes, at most {max_bytes} are possible")]
    TooLarge {
        /// The module or its code.
        what: &'static str,
        /// Its size.
        len_bytes: u64,
        /// The largest possible size.
        max_bytes: u64,
    },
    /// The code generator failed, or gave what the contract does not allow.
    #[error("cannot generate code for function {function}: {message}")]
    Codegen {
        /// Function index; past the module's functions for an entry thunk.
        function: u32,
        /// The generator's words.
        message: String,
    },
    /// This processor or architecture cannot run what the compiler makes.
    #[error("unsuitable processor: {0}")]
    Processor(String),
    /// The options do not fit the module: a bug of the caller.
    #[error("compile options do not fit the module: {what} for {expected}, found {found}")]
    Options {
        /// Which option.
        what: &'static str,
        /// How many items the module has.
        expected: usize,
        /// How many the options have.
        found: usize,
    },
}

impl From<wasmparser::Error> for CompileError {
    fn from(error: wasmparser::Error) -> Self {
        Self::Invalid { message: error.message().to_owned(), offset: error.offset() }
    }
}
