//! A compiled program as a file: a module and the code compiled from it. Anybody can write such a file.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `\0wav` |
//! | 4 | [`VERSION`], little-endian |
//! | … | [`Provenance`] and length of the module, as [`write_value`] writes them |
//! | … | the module |
//! | … | addressing, signatures and imports, as [`write_value`] writes them |
//! | … | the code, as [`write_image`] writes it |
//! | 32 | BLAKE3 hash of all before |
//!
//! The hash detects damage, not forgery: whoever reads a file verifies its code. Even verified code need not be a
//! translation of the module. It only respects what the module declares.

use crate::context::Addressing;
use crate::encoding::{ImageBounds, read_tables, read_value, write_image, write_value};
use crate::image::CodeImage;
use crate::types::TypeIds;
use std::io;
use std::ops::Range;

/// The first bytes of every artifact.
pub const MAGIC: [u8; 4] = *b"\0wav";

/// Version of the format.
pub const VERSION: u32 = 6;

/// Maximum bytes of an [`Provenance`].
const MAX_ORIGIN_BYTES: u64 = 4096;

const HASH_BYTES: usize = blake3::OUT_LEN;

/// How code was compiled.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Provenance {
    /// Version of the program that compiled it.
    pub wave: String,
    /// BLAKE3 hash of the module.
    pub module: [u8; 32],
    /// What was asked of the code.
    pub settings: CodeSettings,
    /// The seed that its addresses follow from.
    pub seed: u64,
}

/// What is asked of code beyond what its module says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CodeSettings {
    /// Whether all computed NaNs have the same bit pattern, so that results do not depend on the processor.
    pub canonical_nans: bool,
    /// Whether the code counts fuel, see [`crate::abi`].
    pub fuel: bool,
}

impl CodeSettings {
    /// The settings as one byte. Different settings have different bytes.
    #[must_use]
    pub fn to_byte(self) -> u8 {
        u8::from(self.canonical_nans) | u8::from(self.fuel) << 1
    }
}

/// A module and its code. Only the lengths have been checked.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// How the code was compiled, as the file claims.
    pub origin: Provenance,
    /// The module's bytes.
    pub module: Vec<u8>,
    /// Identity of every type.
    pub signatures: Vec<TypeIds>,
    /// For every imported function, whether the host implements it.
    pub host_imports: Vec<bool>,
    /// The code.
    pub image: CodeImage,
}

/// Why bytes are not a usable artifact.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Another format.
    #[error("the artifact has format {0}, and this program knows format {VERSION}")]
    Version(u32),
    /// The file was changed or truncated.
    #[error("the artifact is damaged")]
    Damaged,
    /// The hash is right, the content is not.
    #[error("the artifact makes no sense")]
    Malformed(#[source] io::Error),
}

impl Artifact {
    /// Whether these bytes claim to be an artifact.
    #[must_use]
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    /// The artifact as bytes.
    ///
    /// # Errors
    /// None in practice: the bytes are written to memory.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = [MAGIC, VERSION.to_le_bytes()].concat();
        write_value(&mut bytes, &(&self.origin, self.module.len() as u64))?;
        bytes.extend_from_slice(&self.module);
        write_value(&mut bytes, &(&self.image.addressing, &self.signatures, &self.host_imports))?;
        write_image(&mut bytes, &self.image)?;
        let hash = blake3::hash(&bytes);
        bytes.extend_from_slice(hash.as_bytes());
        Ok(bytes)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`ArtifactError`].
    pub fn read(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let Head { origin, module, code } = Head::read(bytes)?;
        let mut rest = bytes.get(code).unwrap_or_default();
        let (signatures, host_imports, mut image) = read_code(&mut rest).map_err(ArtifactError::Malformed)?;
        image.text = rest.to_vec();
        let module = bytes.get(module).unwrap_or_default().to_vec();
        Ok(Self { origin, module, signatures, host_imports, image })
    }

    /// As [`read`](Self::read). The text stays in the memory of the bytes, and the rest of that is given back piece by piece: there
    /// is never a second copy of the text.
    ///
    /// # Errors
    /// [`ArtifactError`].
    pub fn take(mut bytes: Vec<u8>) -> Result<Self, ArtifactError> {
        let Head { origin, module, code } = Head::read(&bytes)?;
        let module = bytes.get(module).unwrap_or_default().to_vec();
        bytes.truncate(code.end);
        drop_before(&mut bytes, code.start);
        let mut rest = &bytes[..];
        let (signatures, host_imports, mut image) = read_code(&mut rest).map_err(ArtifactError::Malformed)?;
        let text = bytes.len() - rest.len();
        drop_before(&mut bytes, text);
        image.text = bytes;
        Ok(Self { origin, module, signatures, host_imports, image })
    }
}

/// What an artifact begins with, and where the rest is.
struct Head {
    origin: Provenance,
    module: Range<usize>,
    /// What stands between the module and the hash.
    code: Range<usize>,
}

impl Head {
    /// Checks the hash of an artifact and reads its head.
    fn read(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let rest = bytes.strip_prefix(&MAGIC).and_then(|rest| rest.split_first_chunk::<4>());
        let (version, _) = rest.ok_or(ArtifactError::Damaged)?;
        if *version != VERSION.to_le_bytes() {
            return Err(ArtifactError::Version(u32::from_le_bytes(*version)));
        }
        let (bytes, hash) = bytes.split_last_chunk::<HASH_BYTES>().ok_or(ArtifactError::Damaged)?;
        if blake3::hash(bytes) != *hash {
            return Err(ArtifactError::Damaged);
        }
        let mut from = bytes.get(MAGIC.len() + version.len()..).ok_or(ArtifactError::Damaged)?;
        let (origin, len): (_, u64) = read_value(&mut from, MAX_ORIGIN_BYTES).map_err(ArtifactError::Malformed)?;
        let start = bytes.len() - from.len();
        let len = usize::try_from(len).ok().filter(|len| *len <= from.len());
        let end = start + len.ok_or_else(|| ArtifactError::Malformed(io::ErrorKind::UnexpectedEof.into()))?;
        Ok(Self { origin, module: start..end, code: end..bytes.len() })
    }
}

/// Reads what stands behind the module. Its text is what is left.
fn read_code(from: &mut &[u8]) -> io::Result<(Vec<TypeIds>, Vec<bool>, CodeImage)> {
    let bytes = from.len() as u64;
    let (addressing, signatures, host_imports): (Addressing, Vec<TypeIds>, Vec<bool>) = read_value(from, bytes)?;
    let bounds = ImageBounds { functions: None, signatures: signatures.len(), bytes };
    let (image, text) = read_tables(from, addressing, &bounds)?;
    if text != from.len() as u64 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok((signatures, host_imports, image))
}

/// Drops what stands before a place, and gives its memory back.
fn drop_before(bytes: &mut Vec<u8>, start: usize) {
    bytes.drain(..start);
    bytes.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::CodeRange;
    use crate::types::SignatureId;

    /// Every byte is tried; under Miri, which takes a thousand times as long, a few.
    const STEP: usize = if cfg!(miri) { 29 } else { 1 };

    const SETTINGS: CodeSettings = CodeSettings { canonical_nans: true, fuel: true };

    fn artifact() -> Artifact {
        Artifact {
            origin: Provenance { wave: "1.2.3".to_owned(), module: [7; 32], settings: SETTINGS, seed: 9 },
            module: b"\0asm\x01\0\0\0".to_vec(),
            signatures: vec![TypeIds { exact: SignatureId(3), shape: SignatureId(3) }],
            host_imports: vec![true, false],
            image: CodeImage {
                addressing: Addressing::Arg,
                text: vec![0xc3; 100],
                functions: vec![CodeRange { start: 0, len: 1 }],
                entries: Vec::new(),
                traps: crate::offsets::OffsetTable::default(),
                sources: crate::offsets::OffsetTable::default(),
                processor: "x86_64".to_owned(),
            },
        }
    }

    /// Reads an artifact in both ways, which agree.
    fn read(bytes: &[u8]) -> Result<Artifact, ArtifactError> {
        let (read, taken) = (Artifact::read(bytes), Artifact::take(bytes.to_vec()));
        assert_eq!(format!("{read:?}"), format!("{taken:?}"));
        read
    }

    #[test]
    fn it_reads_back_as_it_was() {
        let bytes = artifact().to_bytes().expect("bytes");
        assert!(Artifact::is_one(&bytes));
        let read = read(&bytes).expect("an artifact");
        assert_eq!(read.origin, artifact().origin);
        assert_eq!((&read.module, &read.image.text), (&artifact().module, &artifact().image.text));
        assert_eq!(read.to_bytes().expect("bytes"), bytes);
    }

    /// T59: every changed bit and every missing byte is detected.
    #[test]
    fn t59_damage_is_found() {
        let bytes = artifact().to_bytes().expect("bytes");
        for at in (8..bytes.len()).step_by(STEP) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            assert!(matches!(read(&damaged), Err(ArtifactError::Damaged)), "byte {at}");
            assert!(matches!(read(&bytes[..at]), Err(ArtifactError::Damaged)), "truncated at {at}");
        }
        let mut other = bytes.clone();
        other[4] = 9;
        assert!(matches!(read(&other), Err(ArtifactError::Version(9))));
    }

    /// T59: anybody can compute the hash, so lengths are checked before memory is allocated for them.
    #[test]
    fn t59_lengths_are_not_believed() {
        let bytes = artifact().to_bytes().expect("bytes");
        let body = bytes.len() - HASH_BYTES;
        for at in (8..body).step_by(STEP) {
            let mut forged = bytes[..body].to_vec();
            forged[at] = 0xff;
            let hash = blake3::hash(&forged);
            forged.extend_from_slice(hash.as_bytes());
            if let Ok(read) = read(&forged) {
                assert!(read.module.len() + read.image.text.len() < bytes.len(), "byte {at}");
            }
        }
    }
}
