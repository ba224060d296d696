//! Verified code as bytes, so that later runs of the same user need not prove it again.
//!
//! A record counts as proved only with a tag that the user's key gives; without it, it is code from anywhere (T59).

use crate::declarations;
use crate::image::{Terms, Verified};
use std::io;
use wave_contract::digest::{Digest, digest};
use wave_contract::encoding::{ImageBounds, read_tables, read_value, write_tables, write_value};
use wave_contract::image::CodeImage;
use wave_contract::module::ModuleInfo;

/// A secret of a user, with which his verifier signs what it accepted.
pub struct Key(Digest);

impl Key {
    /// From 32 random bytes.
    #[must_use]
    pub const fn new(bytes: Digest) -> Self {
        Self(bytes)
    }

    /// A tag for something else than verified code.
    #[must_use]
    pub fn tag_for(&self, purpose: &str, bytes: &[u8]) -> blake3::Hash {
        blake3::keyed_hash(&blake3::derive_key(purpose, &self.0), bytes)
    }

    fn tag(&self, digest: &Digest) -> blake3::Hash {
        blake3::keyed_hash(&self.0, digest)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // Guest code that got out must not find it. Behind a black box, or the compiler would leave the write out.
        self.0 = std::hint::black_box([0; 32]);
        std::hint::black_box(&self.0);
    }
}

/// What is kept of verified code besides its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Terms, declarations and tables.
    pub head: Vec<u8>,
    /// Bytes of whoever asked for it.
    pub data: Vec<u8>,
    /// Of name, head, data and text.
    pub digest: Digest,
    /// That this user's verifier accepted it; anything if he had no key.
    pub tag: Digest,
}

/// What a record gives.
#[derive(Debug)]
pub enum Recalled {
    /// This user's verifier accepted it, for a module with these declarations.
    Verified(Box<(Verified<CodeImage>, ModuleInfo)>),
    /// Whole, but not proved. The declarations are not either, and so not given.
    Unproved(Box<CodeImage>),
}

impl Verified<CodeImage> {
    /// Writes down what is not text. `name`: for what it is to count, and for nothing else. `data`: what else is signed with
    /// it. `None` if the code was not proved.
    ///
    /// # Errors
    /// None that memory could not have.
    pub fn record(
        &self,
        info: &ModuleInfo,
        data: Vec<u8>,
        name: &Digest,
        key: Option<&Key>,
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
        let digest = whole(name, [&head, &data, &self.code().text].map(|part| digest(part, threads)));
        let tag = key.map_or([0; 32], |key| *key.tag(&digest).as_bytes());
        Ok(Some(Record { head, data, digest, tag }))
    }
}

impl Record {
    /// What was written down under this name, if nothing of it has changed. The code is hashed while the rest is read.
    #[must_use]
    pub fn recall(&self, text: Vec<u8>, name: &Digest, key: Option<&Key>, threads: usize) -> Option<Recalled> {
        let (found, read) = if threads > 1 {
            std::thread::scope(|scope| {
                let hashed = scope.spawn(|| digest(&text, 1));
                let (head, data, read) = (digest(&self.head, 1), digest(&self.data, 1), self.read(text.len()));
                Some((whole(name, [head, data, hashed.join().ok()?]), read))
            })?
        } else {
            (whole(name, [&self.head, &self.data, &text].map(|part| digest(part, 1))), self.read(text.len()))
        };
        if found != self.digest {
            return None;
        }
        let (terms, info, mut code) = read?;
        code.text = text;
        // In constant time.
        if key.is_some_and(|key| key.tag(&found) == blake3::Hash::from_bytes(self.tag)) {
            let code = Verified::recalled(code, declarations::copy(&info), terms);
            return Some(Recalled::Verified(Box::new((code, info))));
        }
        Some(Recalled::Unproved(Box::new(code)))
    }

    /// What the head says of a text of this length.
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

fn whole(name: &Digest, parts: [Digest; 3]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(name);
    for part in &parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}
