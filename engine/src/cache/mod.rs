//! The cache of verified code (T59).
//!
//! An entry is a file in a directory of this user. Its name is a hash of the module or the compiled file, this build of
//! `wave`, the processor and the settings. The entry of a module was compiled from that module by this program. The
//! code of a compiled file is cached under the hash of that file, whatever module is in it.
//!
//! Cached code is trusted only if it is signed with the user's key in the kernel keyring. Verification alone is not
//! enough, because code can be safe and still belong to another module. Without a key there is no cache.
//!
//! An entry is written atomically. If the directory or an entry cannot be used, a run compiles the module instead.

mod build;
mod directory;
mod key;

use crate::failure::Failure;
use directory::{Directory, Item, UNFINISHED, Unusable, record_use};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wave_contract::artifact::{Artifact, CodeSettings};
use wave_contract::digest::{Digest, digest, digest_read};
use wave_contract::image::CodeImage;
use wave_contract::module::ModuleInfo;
use wave_policy::chain;
use wave_runtime::{DebugFile, debug_bytes, prefer_large_pages};
use wave_verifier::{Key, Record, Signature, Verified};

/// Maximum bytes of all entries.
pub const MAX_BYTES: u64 = 1 << 30;

/// Maximum bytes of one entry.
const MAX_ENTRY_BYTES: u64 = MAX_BYTES / 4;

/// First bytes of every entry. They change with the format.
const MAGIC: [u8; 8] = *b"\0wavec\x04\n";

/// Bytes before the head: magic, seed, five lengths, digest of the debug information, signature.
const HEADER_BYTES: usize = 8 + 6 * 8 + size_of::<Digest>() + Signature::BYTES;

/// Modules of at least this size are hashed from the file first, and read into memory only if their code is not cached.
pub const LARGE_BYTES: u64 = 1 << 20;

/// Stack size of a reading thread.
const STACK_BYTES: usize = 1 << 20;

/// Age after which an unfinished file is removed. No process writes an entry for so long.
const ABANDONED: Duration = Duration::from_secs(3600);

/// The cache of this user.
pub struct Cache {
    directory: Directory,
    key: Key,
    /// Whether a run needs to know where functions begin.
    for_dump: bool,
}

/// The kind of file that an entry has the code of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A module, which this program compiled.
    Module,
    /// A compiled file, whoever built it.
    Artifact,
}

impl Content {
    /// The kind of a file that begins with `bytes`, if its code can be cached. Text cannot, because it must be
    /// translated first.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            _ if Artifact::is_one(bytes) => Some(Self::Artifact),
            _ if bytes.starts_with(b"\0asm") => Some(Self::Module),
            _ => None,
        }
    }

    /// The context of the hash. It differs by kind, so that names of the two kinds never collide.
    const fn purpose(self) -> &'static str {
        match self {
            Self::Module => "wave 2026-11 code that was compiled from a module",
            Self::Artifact => "wave 2026-11 code of a compiled file",
        }
    }
}

/// The name of an entry, which identifies its program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EntryName(Digest);

/// A program whose code is stored in the cache.
pub struct Program<'a> {
    /// The seed of its addresses.
    pub seed: u64,
    /// Its code.
    pub code: &'a Verified<CodeImage>,
    /// Its declarations.
    pub info: &'a ModuleInfo,
    /// The module's bytes.
    pub module: &'a [u8],
}

/// The cached code of a program.
pub struct CachedCode {
    /// The seed of its addresses.
    pub seed: u64,
    /// Its code, which this user's verifier accepted in an earlier run, and its declarations.
    pub accepted: Box<(Verified<CodeImage>, ModuleInfo)>,
    /// The contents of its data segments.
    pub data: Vec<u8>,
    /// What a trap needs besides. It is not read before.
    pub debug: Option<DebugFile>,
}

impl EntryName {
    /// The name for a module or a compiled file with this digest, and this build, processor and settings. `None` if
    /// this build cannot be identified.
    pub fn new(
        content: Content,
        digest: &Digest,
        processor: &str,
        settings: CodeSettings,
        threads: usize,
    ) -> Option<Self> {
        let mut hasher = blake3::Hasher::new_derive_key(content.purpose());
        hasher.update(digest).update(&build::identity(threads)?).update(&[settings.to_byte()]);
        hasher.update(env!("CARGO_PKG_VERSION").as_bytes()).update(&[0]).update(processor.as_bytes());
        Some(Self(*hasher.finalize().as_bytes()))
    }

    fn file(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A digest of the name and of what an entry has before its signature.
    fn with(&self, seed: u64, debug: &DebugPlace) -> Digest {
        let numbers = [seed, debug.bodies_len, debug.lines_len].map(u64::to_le_bytes);
        digest(&[&self.0[..], numbers.as_flattened(), &debug.digest].concat(), 1)
    }
}

/// What an entry says of its debug information, which is behind its text.
struct DebugPlace {
    bodies_len: u64,
    lines_len: u64,
    digest: Digest,
}

impl DebugPlace {
    /// Maps it, if there are source lines or `for_dump` asks for all of it: a mapping takes time. A file that cannot be mapped has none.
    fn map(&self, file: &File, at: u64, for_dump: bool) -> Option<DebugFile> {
        if self.lines_len == 0 && !for_dump {
            return None;
        }
        let lengths = [usize::try_from(self.bodies_len).ok()?, usize::try_from(self.lines_len).ok()?];
        DebugFile::map(file, at, lengths, self.digest).ok()
    }
}

impl Cache {
    /// The cache of this user.
    ///
    /// # Errors
    /// [`Unusable`].
    pub fn open() -> Result<Self, Unusable> {
        let directory = Directory::open()?;
        Ok(Self { directory, key: key::user_key().ok_or(Unusable::NoKey)?, for_dump: false })
    }

    /// The name for the large module in a file. The whole file is hashed, piece by piece, because nothing else shows
    /// that it is unchanged: some file systems set times and change counters late, or not at all if a file is changed
    /// through a shared mapping. `None` if the file cannot be read, is not a module, or is small.
    pub fn name_of_file(
        &self,
        path: &Path,
        processor: &str,
        settings: CodeSettings,
        threads: usize,
    ) -> Option<EntryName> {
        // Opening a FIFO would block, and its data can be read only once.
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
        let metadata = file.metadata().ok().filter(|metadata| metadata.is_file() && metadata.len() >= LARGE_BYTES)?;
        let mut start = [0; 4];
        file.read_exact_at(&mut start, 0).ok().filter(|()| Content::of(&start) == Some(Content::Module))?;
        let read = |from, buffer: &mut [u8]| file.read_exact_at(buffer, from);
        let module = digest_read(metadata.len(), threads, read).ok()?;
        EntryName::new(Content::Module, &module, processor, settings, threads)
    }

    /// The cache, for runs that may write a core dump: that says where functions begin.
    #[must_use]
    pub fn for_dump(mut self, for_dump: bool) -> Self {
        self.for_dump = for_dump;
        self
    }

    /// Finds the cached code of a program.
    pub fn find(&self, name: &EntryName, threads: usize) -> Option<CachedCode> {
        let (file, stat) = self.directory.read(&name.file()).ok()?;
        let len = u64::try_from(stat.st_size).ok().filter(|len| *len <= MAX_ENTRY_BYTES)?;
        let found = self.read(&file, len, name, threads);
        if found.is_some() {
            record_use(&file, &stat);
        }
        found
    }

    fn read(&self, file: &File, len: u64, name: &EntryName, threads: usize) -> Option<CachedCode> {
        let mut header = [0; HEADER_BYTES];
        file.read_exact_at(&mut header, 0).ok()?;
        let (magic, rest) = header.split_first_chunk()?;
        let (seed, rest) = rest.split_first_chunk()?;
        let (head_len, rest) = rest.split_first_chunk()?;
        let (data_len, rest) = rest.split_first_chunk()?;
        let (text_len, rest) = rest.split_first_chunk()?;
        let (bodies_len, rest) = rest.split_first_chunk()?;
        let (lines_len, rest) = rest.split_first_chunk()?;
        let (debug_digest, rest) = rest.split_first_chunk()?;
        let signature = Signature::from_bytes(rest.as_array()?);
        let [seed, head_len, data_len, text_len, bodies_len, lines_len] =
            [seed, head_len, data_len, text_len, bodies_len, lines_len].map(|bytes| u64::from_le_bytes(*bytes));
        let debug = DebugPlace { bodies_len, lines_len, digest: *debug_digest };
        let signed = name.with(seed, &debug);
        let parts = [head_len, data_len, text_len, bodies_len, lines_len];
        let total = parts.into_iter().try_fold(HEADER_BYTES as u64, u64::checked_add);
        if *magic != MAGIC || total != Some(len) || !signature.is_genuine(&signed, &self.key) {
            return None;
        }
        let bytes = |mut file: &File, from, len| {
            let mut bytes = Vec::with_capacity(usize::try_from(len).ok()?);
            prefer_large_pages(bytes.spare_capacity_mut());
            file.seek(SeekFrom::Start(from)).ok()?;
            (file.take(len).read_to_end(&mut bytes).ok()? as u64 == len).then_some(bytes)
        };
        let data_at = HEADER_BYTES as u64 + head_len;
        let rest = || Some((bytes(file, HEADER_BYTES as u64, head_len)?, bytes(file, data_at, data_len)?));
        let text_at = data_at + data_len;
        let ((head, data), text) = if threads > 1 {
            // The second thread needs its own file position.
            let (again, _) = self.directory.read(&name.file()).ok()?;
            std::thread::scope(|scope| {
                let text = || bytes(&again, text_at, text_len);
                // If no thread can be started, this thread reads the text.
                let reading = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, text).ok();
                let rest = rest();
                let text = reading.map_or_else(|| Ok(text()), |reading| reading.join()).ok()?;
                Some((rest?, text?))
            })?
        } else {
            (rest()?, bytes(file, text_at, text_len)?)
        };
        let record = Record { head, data, signature };
        let accepted = record.recall(text, &signed, &self.key, threads)?;
        let debug = debug.map(file, text_at + text_len, self.for_dump);
        Some(CachedCode { seed, accepted: Box::new(accepted), data: record.data, debug })
    }

    /// Caches the code of a program. Errors are ignored.
    pub fn store(&self, name: &EntryName, program: &Program<'_>, threads: usize) {
        let Program { seed, code, info, module } = *program;
        let Some((info, data)) = with_data_alone(info, module) else { return };
        let debug = debug_bytes(module);
        let place = DebugPlace {
            bodies_len: debug.bodies.len() as u64,
            lines_len: debug.lines.len() as u64,
            digest: debug.digest(threads),
        };
        let Ok(Some(record)) = code.record(&info, data, &name.with(seed, &place), &self.key, threads) else { return };
        let parts: [&[u8]; 5] = [&record.head, &record.data, &code.code().text, &debug.bodies, &debug.lines];
        let lengths = parts.map(|part| part.len() as u64);
        if lengths.iter().sum::<u64>() + HEADER_BYTES as u64 > MAX_ENTRY_BYTES {
            return;
        }
        let header: Vec<u8> = MAGIC
            .into_iter()
            .chain([seed].into_iter().chain(lengths).flat_map(u64::to_le_bytes))
            .chain(place.digest)
            .chain(record.signature.to_bytes())
            .collect();
        let [head, data, text, bodies, lines] = parts;
        // If this fails, the next run compiles the module again.
        drop(self.write(&name.file(), &[&header, head, data, text, bodies, lines]));
    }

    fn write(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let len = parts.iter().map(|bytes| bytes.len() as u64).sum();
        // A write beyond the file size limit would kill this process with SIGXFSZ.
        let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
        if limit.is_some_and(|limit| len > limit) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.make_room(len)?;
        self.directory.write(name, parts)
    }

    /// Removes abandoned files, and then the entries that were not used for longest, until there is room.
    fn make_room(&self, len: u64) -> io::Result<()> {
        let mut items = self.directory.items()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
        let is_abandoned = |item: &Item| {
            let used = Duration::from_secs(u64::try_from(item.used).unwrap_or(0));
            item.name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) && now.saturating_sub(used) > ABANDONED
        };
        for item in items.extract_if(.., |item| is_abandoned(item)) {
            drop(self.directory.remove(&*item.name));
        }
        items.sort_by_key(|item| item.used);
        let mut total: u64 = items.iter().map(Item::disk_bytes).sum();
        for item in items {
            if total.saturating_add(len) <= MAX_BYTES {
                break;
            }
            self.directory.remove(&*item.name)?;
            total -= item.disk_bytes();
        }
        Ok(())
    }
}

/// Returns the contents of the data segments, and declarations that refer to these bytes instead of the module's.
fn with_data_alone(info: &ModuleInfo, module: &[u8]) -> Option<(ModuleInfo, Vec<u8>)> {
    let (mut info, mut data) = (info.clone(), Vec::new());
    for segment in &mut info.data {
        let bytes = module.get(segment.bytes.clone()).unwrap_or_default();
        segment.bytes = data.len()..data.len() + bytes.len();
        data.extend_from_slice(bytes);
        // Segments of a module do not overlap, but these declarations come from the compiler, which is not trusted.
        if data.len() > module.len() {
            return None;
        }
    }
    Some((info, data))
}

/// The contents of the cache, for `wave cache`. Listing and clearing them takes no key.
pub struct Contents {
    directory: Directory,
    items: Vec<Item>,
}

impl Contents {
    /// Lists the cache of this user.
    ///
    /// # Errors
    /// 125 if it does not exist or cannot be read.
    pub fn read() -> Result<Self, Failure> {
        let directory = Directory::open().map_err(|error| {
            Failure::refused(format!("there is no cache: {}", chain(&error)))
                .fix("set XDG_CACHE_HOME to a directory that only you can write to; runs work without a cache")
        })?;
        let items = directory.items().map_err(|error| unreadable(&directory, &error))?;
        Ok(Self { directory, items })
    }

    /// The path of the cache.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The number of cached programs.
    pub fn programs(&self) -> usize {
        self.items.iter().filter(|item| !item.name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes())).count()
    }

    /// The size of all files in bytes.
    pub fn bytes(&self) -> u64 {
        self.items.iter().map(|item| item.bytes).sum()
    }

    /// Removes all files.
    ///
    /// # Errors
    /// 125 if a file cannot be removed.
    pub fn clear(&self) -> Result<(), Failure> {
        let mut items = self.items.iter();
        items
            .try_for_each(|item| self.directory.remove(&*item.name))
            .map_err(|error| unreadable(&self.directory, &error))
    }
}

/// Whether this user has a key in the kernel keyring. Creates one if there is none. Without a key nothing is cached.
pub fn has_key() -> bool {
    key::user_key().is_some()
}

fn unreadable(directory: &Directory, error: &io::Error) -> Failure {
    Failure::refused(format!("cannot read the cache: {error}")).at(directory.path().display().to_string())
}
