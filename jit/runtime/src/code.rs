//! Executable memory.
//!
//! A store reserves one region before anything runs. The signal handlers and the syscall filter recognize guest code by
//! its bounds. cranelift-jit's module places each image there as one blob, one after the other. Pages go from writable
//! to executable once and never back.

use crate::mapping::{FinalAccess, FinalBytes, HOST_PAGE_BYTES, LARGE_PAGE_BYTES, Mapping};
use cranelift_codegen::ir;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings;
use cranelift_jit::{BranchProtection, JITBuilder, JITMemoryKind, JITMemoryProvider, JITModule};
use cranelift_module::{Module, ModuleError, ModuleResult};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use wave_contract::image::{CodeImage, CodeRange, SourceTable, TEXT_ALIGN, TrapTable};
use wave_contract::offsets;
use wave_contract::types::SignatureId;
use wave_verifier::Verified;

/// Address space for code. Near calls do not reach much farther.
const REGION_BYTES: usize = 1 << 30;

/// Why code could not be made executable.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// The region is full, or the kernel refused.
    #[error("cannot map code")]
    Map(#[source] io::Error),
    /// cranelift-jit refused the blob.
    #[error("cannot load code: {0}")]
    Load(String),
    /// The image contradicts itself.
    #[error("malformed code image: {0}")]
    Image(&'static str),
}

/// All code of a store.
pub struct CodeRegion {
    mapping: Arc<Mutex<Pages>>,
    range: Range<usize>,
    images: Vec<LoadedImage>,
}

/// An image that was loaded.
pub struct LoadedImage {
    range: Range<usize>,
    functions: Vec<CodeRange>,
    entries: Vec<(SignatureId, u64)>,
    traps: FinalTraps,
    sources: SourceTable,
    /// cranelift-jit's record of the blob. The pages belong to the region.
    _owner: JITModule,
}

/// The source location of a code address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Number of the image in its store.
    pub image: usize,
    /// Function index, `None` in an entry thunk.
    pub function: Option<u32>,
    /// Offset in the module's bytes, if the address is a trap or the last byte of a call.
    pub position: Option<u32>,
}

impl CodeRegion {
    /// Reserves the region.
    pub fn new() -> io::Result<Self> {
        let mapping = Mapping::reserve(REGION_BYTES)?;
        let range = mapping.range();
        Ok(Self { mapping: Arc::new(Mutex::new(Pages { mapping, used: 0 })), range, images: Vec::new() })
    }

    /// Addresses that can hold guest code.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Maps an image read-execute and returns its number. Nothing else makes memory executable.
    pub fn load(&mut self, image: Verified<CodeImage>) -> Result<usize, CodeError> {
        let image = image.into_code();
        let text_len = u32::try_from(image.text.len()).map_err(|_| CodeError::Image("text is too long"))?;
        let inside = |code: &CodeRange| code.start.checked_add(code.len).is_some_and(|end| end <= text_len);
        if !image.functions.iter().all(inside) || !image.entries.iter().all(|entry| inside(&entry.code)) {
            return Err(CodeError::Image("a function lies outside the text"));
        }

        // A symbol lookup could fall back to dlsym. There is none: the blob is anonymous and has no relocations.
        let names: Box<dyn Fn(ir::LibCall) -> String + Send + Sync> = Box::new(|call| format!("{call:?}"));
        let mut builder = JITBuilder::with_isa(host_isa()?, names);
        builder.memory_provider(Box::new(Provider { pages: Arc::clone(&self.mapping) }));
        // With this variable, cranelift-jit appends to a file in the temporary directory, whose name others can guess.
        if std::env::var_os("PERF_BUILDID_DIR").is_some() {
            return Err(CodeError::Load("PERF_BUILDID_DIR is set".to_owned()));
        }
        let mut owner = JITModule::new(builder);
        let load = |error| match error {
            ModuleError::Allocation { err } => CodeError::Map(err),
            error => CodeError::Load(error.to_string()),
        };
        let signature = owner.make_signature();
        let blob = owner.declare_anonymous_function(&signature).map_err(load)?;
        owner.define_function_bytes(blob, TEXT_ALIGN as u64, &image.text, &[]).map_err(load)?;
        owner.finalize_definitions().map_err(load)?;
        let start = owner.get_finalized_function(blob) as usize;

        let traps = FinalTraps::place(&self.mapping, &image.traps).map_err(CodeError::Map)?;
        let range = start..start + image.text.len();
        let mut entries: Vec<_> =
            image.entries.iter().map(|entry| (entry.signature, start as u64 + u64::from(entry.code.start))).collect();
        entries.sort_unstable_by_key(|(signature, _)| *signature);
        self.images.push(LoadedImage {
            range,
            functions: image.functions,
            entries,
            traps,
            sources: image.sources,
            _owner: owner,
        });
        Ok(self.images.len() - 1)
    }

    /// An image by its number.
    pub fn image(&self, number: usize) -> Option<&LoadedImage> {
        self.images.get(number)
    }

    /// The trap code of an address. Safe in a signal handler: it only reads.
    pub fn trap_at(&self, pc: usize) -> Option<u8> {
        let image = self.images.iter().find(|image| image.range.contains(&pc))?;
        image.traps.get(u32::try_from(pc - image.range.start).ok()?)
    }

    /// Finds the function around an address.
    pub fn locate(&self, pc: usize) -> Option<Location> {
        let number = self.images.iter().position(|image| image.range.contains(&pc))?;
        let image = &self.images[number];
        let offset = u32::try_from(pc - image.range.start).ok()?;
        // Only traps need this, so a linear search is fast enough.
        let function = image.functions.iter().position(|code| code.contains(offset));
        let function = function.and_then(|index| u32::try_from(index).ok());
        Some(Location { image: number, function, position: image.sources.get(offset) })
    }
}

impl LoadedImage {
    /// Address of a function's code.
    pub fn function(&self, index: u32) -> Option<u64> {
        Some(self.range.start as u64 + u64::from(self.functions.get(index as usize)?.start))
    }

    /// Where the code of each function is, by its index.
    pub fn functions(&self) -> impl Iterator<Item = Range<usize>> {
        let start = self.range.start;
        self.functions.iter().map(move |code| {
            let from = start + code.start as usize;
            from..from + code.len as usize
        })
    }

    /// Address range of the trap table.
    pub fn trap_bytes(&self) -> Range<usize> {
        crate::inspect::of_slice(self.traps.bytes.as_slice())
    }

    /// Address of the entry thunk for a signature.
    pub fn entry(&self, signature: SignatureId) -> Option<u64> {
        let at = self.entries.binary_search_by_key(&signature, |(id, _)| *id).ok()?;
        Some(self.entries[at].1)
    }
}

/// A trap table in final pages of the region, its index first. It decides which faults are the guest's, so nobody may
/// write it.
struct FinalTraps {
    index_len: usize,
    bytes: FinalBytes,
}

impl FinalTraps {
    fn place(pages: &Mutex<Pages>, table: &TrapTable) -> io::Result<Self> {
        let (index, entries) = table.parts();
        let len = index.len() + entries.len();
        let mut pages = pages.lock().unwrap_or_else(PoisonError::into_inner);
        let range = pages.take(len)?;
        let bytes = pages.mapping.place_final(range.start, len, |bytes| {
            let (to_index, to_entries) = bytes.split_at_mut(index.len());
            to_index.copy_from_slice(index);
            to_entries.copy_from_slice(entries);
        })?;
        Ok(Self { index_len: index.len(), bytes })
    }

    /// The code at exactly this offset. Safe in a signal handler: it only reads.
    fn get(&self, offset: u32) -> Option<u8> {
        let parts = self.bytes.as_slice().split_at_checked(self.index_len)?;
        offsets::find(parts, offset)?.try_into().ok()
    }
}

/// The region's pages: allocated in order, writable until they are final.
struct Pages {
    mapping: Mapping,
    used: usize,
}

impl Pages {
    /// Allocates the next pages, for `size` bytes.
    fn take(&mut self, size: usize) -> io::Result<Range<usize>> {
        let end = size
            .checked_next_multiple_of(HOST_PAGE_BYTES)
            .and_then(|size| self.used.checked_add(size))
            .filter(|end| *end <= self.mapping.len())
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        Ok(std::mem::replace(&mut self.used, end)..end)
    }
}

/// Gives cranelift-jit pages of the region.
struct Provider {
    pages: Arc<Mutex<Pages>>,
}

impl JITMemoryProvider for Provider {
    fn allocate(&mut self, size: usize, align: u64, kind: JITMemoryKind) -> io::Result<*mut u8> {
        if !matches!(kind, JITMemoryKind::Executable) || align > HOST_PAGE_BYTES as u64 {
            return Err(io::Error::from(io::ErrorKind::Unsupported));
        }
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let Range { start, end } = pages.take(size)?;
        if size >= LARGE_PAGE_BYTES {
            pages.mapping.prefer_large_pages(start..end);
        }
        pages.mapping.make_writable(start..end)?;
        // cranelift-jit fills the pages through this pointer, before it calls `finalize` and never afterwards. Nobody else
        // refers to them meanwhile: `place` lends pages of its own, and only while it holds the lock.
        pages.mapping.writable_ptr(start..end).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))
    }

    #[expect(unsafe_code, reason = "the trait asks for it")]
    unsafe fn free_memory(&mut self) {
        // The region owns the pages: tables of one image may refer to code of another.
    }

    fn finalize(&mut self, _: BranchProtection) -> ModuleResult<()> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.mapping.make_final(FinalAccess::ReadExecute).map_err(|error| ModuleError::Allocation { err: error })
    }
}

/// Does the part of loading that needs no image, for a process that waits for its compiler anyway.
///
/// # Errors
/// [`CodeError::Load`] when cranelift-jit does not know this processor.
pub fn prepare_loading() -> Result<(), CodeError> {
    host_isa().map(drop)
}

fn host_isa() -> Result<OwnedTargetIsa, CodeError> {
    static ISA: OnceLock<Result<OwnedTargetIsa, String>> = OnceLock::new();
    let make = || {
        let builder = cranelift_native::builder().map_err(str::to_owned)?;
        builder.finish(settings::Flags::new(settings::builder())).map_err(|error| error.to_string())
    };
    ISA.get_or_init(make).clone().map_err(CodeError::Load)
}
