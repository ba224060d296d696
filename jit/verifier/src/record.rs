//! Verified code as bytes, so that later runs of the same user need not prove it again.
//!
//! A record is trusted only if it is signed with the user's key. Code that obeys the contract can still be the code of another
//! module than the one whose name it is stored under (T59).

use crate::declarations;
use crate::image::{Terms, Verified};
use std::io;
use wave_contract::digest::{Digest, digest};
use wave_contract::encoding::{ImageBounds, read_tables, read_value, write_tables, write_value};
use wave_contract::image::CodeImage;
use wave_contract::module::ModuleInfo;

const DIGEST_BYTES: usize = size_of::<Digest>();

/// A user's secret, with which the verifier signs code that it accepted.
pub struct Key(Digest);

impl Key {
    /// From 32 random bytes.
    #[must_use]
    pub const fn new(bytes: Digest) -> Self {
        Self(bytes)
    }

    fn tag(&self, digest: &Digest) -> blake3::Hash {
        blake3::keyed_hash(&self.0, digest)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // Guest code that escaped must not find the key. Without the black box, the compiler would omit the write.
        self.0 = std::hint::black_box([0; 32]);
        std::hint::black_box(&self.0);
    }
}

/// Verified code without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Terms, declarations and tables.
    pub head: Vec<u8>,
    /// The caller's own bytes.
    pub data: Vec<u8>,
    /// The signature, also of the text.
    pub signature: Signature,
}

/// The hashes of head, data and text, signed under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    parts: [Digest; 3],
    tag: Digest,
}

impl Signature {
    /// Length in bytes.
    pub const BYTES: usize = 4 * DIGEST_BYTES;

    fn new(name: &Digest, parts: [Digest; 3], key: &Key) -> Self {
        Self { parts, tag: *key.tag(&whole(name, &parts)).as_bytes() }
    }

    /// From untrusted bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let (digests, _) = bytes.as_chunks::<DIGEST_BYTES>();
        let at = |index: usize| digests.get(index).copied().unwrap_or_default();
        Self { parts: [at(0), at(1), at(2)], tag: at(3) }
    }

    /// As bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let [head, data, text] = self.parts;
        [head, data, text, self.tag].concat()
    }

    /// Whether this user's verifier signed these hashes under this name. If not, the rest of the record need not be read.
    #[must_use]
    pub fn is_genuine(&self, name: &Digest, key: &Key) -> bool {
        // In constant time.
        key.tag(&whole(name, &self.parts)) == blake3::Hash::from_bytes(self.tag)
    }
}

impl Verified<CodeImage> {
    /// A record of verified code. It is valid under `name` and no other name. `data` is signed with it. `None` if the code was
    /// not proved.
    ///
    /// # Errors
    /// If encoding fails, which it does not when it writes to memory.
    pub fn record(
        &self,
        info: &ModuleInfo,
        data: Vec<u8>,
        name: &Digest,
        key: &Key,
        threads: usize,
    ) -> io::Result<Option<Record>> {
        if !self.is_proved() || self.is_of(info).is_err() {
            return Ok(None);
        }
        let Terms { addressing, signatures, host_imports } = self.terms();
        let mut head = Vec::new();
        write_value(&mut head, &(addressing, signatures, host_imports))?;
        write_value(&mut head, info)?;
        write_tables(&mut head, self.code())?;
        let parts = [&head, &data, &self.code().text].map(|part| digest(part, threads));
        Ok(Some(Record { head, data, signature: Signature::new(name, parts, key) }))
    }
}

/// Stack of the thread that hashes.
const STACK_BYTES: usize = 1 << 20;

impl Record {
    /// The verified code, if the record is signed under this name and belongs to a module with these declarations. Only signed
    /// bytes are decoded. Meanwhile, another thread hashes the text.
    #[must_use]
    pub fn recall(
        &self,
        text: Vec<u8>,
        name: &Digest,
        key: &Key,
        threads: usize,
    ) -> Option<(Verified<CodeImage>, ModuleInfo)> {
        if !self.signature.is_genuine(name, key) {
            return None;
        }
        let [head, data, signed] = self.signature.parts;
        let rest = || {
            let is_signed = digest(&self.head, 1) == head && digest(&self.data, 1) == data;
            is_signed.then(|| self.read(text.len())).flatten()
        };
        let (found, read) = if threads > 1 {
            std::thread::scope(|scope| {
                let hash = || digest(&text, 1);
                // Without a name, which takes a system call. If no thread can be started, this one does it.
                let hashing = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, hash).ok();
                let read = rest();
                Some((hashing.map_or_else(|| Ok(hash()), |hashing| hashing.join()).ok()?, read))
            })?
        } else {
            (digest(&text, 1), rest())
        };
        let (terms, info, mut code) = read.filter(|_| found == signed)?;
        code.text = text;
        Some((Verified::recalled(code, declarations::copy(&info), terms), info))
    }

    /// The image in the head, for a text of this length.
    fn read(&self, text_len: usize) -> Option<(Terms, ModuleInfo, CodeImage)> {
        let len = (self.head.len() + text_len) as u64;
        let head = &mut &self.head[..];
        let (addressing, signatures, host_imports) = read_value(head, len).ok()?;
        let info: ModuleInfo = read_value(head, len).ok()?;
        let bounds = ImageBounds { functions: Some(info.functions.len()), signatures: info.types.len(), bytes: len };
        let (code, said) = read_tables(head, addressing, &bounds).ok()?;
        let terms = Terms { addressing: code.addressing.clone(), signatures, host_imports };
        (said == text_len as u64 && head.is_empty()).then_some((terms, info, code))
    }
}

fn whole(name: &Digest, parts: &[Digest; 3]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(name);
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}
