//! Digests, which name blobs.

use crate::sha2::{sha256, sha512};
use std::fmt::{self, Write as _};

/// The hash function of a digest: those that the specification registers and that are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

/// A digest that was checked. Both of its parts are names of files: there is nothing in them but small letters and digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    algorithm: Algorithm,
    hex: String,
}

impl Digest {
    /// Reads `sha256:` and 64 digits, or `sha512:` and 128.
    ///
    /// # Errors
    /// Why it is neither.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (algorithm, hex) = text.split_once(':').ok_or("it has no colon")?;
        let (algorithm, len) = match algorithm {
            "sha256" => (Algorithm::Sha256, 64),
            "sha512" => (Algorithm::Sha512, 128),
            _ => return Err("only sha256 and sha512 are supported"),
        };
        if hex.len() != len || !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err("its second part is not the hexadecimal digits of such a digest");
        }
        Ok(Self { algorithm, hex: hex.to_owned() })
    }

    /// The SHA-256 of all bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::by(Algorithm::Sha256, bytes)
    }

    /// The digest of all bytes by the same function.
    #[must_use]
    pub fn same_of(&self, bytes: &[u8]) -> Self {
        Self::by(self.algorithm, bytes)
    }

    fn by(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let digits = |bytes: &[u8]| {
            bytes.iter().fold(String::new(), |mut hex, byte| {
                // Writing to a string cannot fail.
                write!(hex, "{byte:02x}").map_or_else(|_| String::new(), |()| hex)
            })
        };
        let hex = match algorithm {
            Algorithm::Sha256 => digits(&sha256(bytes)),
            Algorithm::Sha512 => digits(&sha512(bytes)),
        };
        Self { algorithm, hex }
    }

    /// The names that lead to the blob, from the layout on.
    #[must_use]
    pub fn path(&self) -> [&str; 3] {
        ["blobs", self.algorithm.name(), &self.hex]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_no_path() {
        let [hex256, hex512] = ["a0".repeat(32), "a0".repeat(64)];
        for good in [format!("sha256:{hex256}"), format!("sha512:{hex512}")] {
            assert_eq!(Digest::parse(&good).expect("a digest").to_string(), good);
        }
        for bad in [
            "",
            "sha256",
            "sha256:",
            "sha256:../../../etc/passwd",
            &format!("sha256:{}", "../".repeat(22)),
            &format!("sha256:{}", hex256.to_uppercase()),
            &format!("sha256:{hex256}0"),
            &format!("sha256:{}/", &hex256[1..]),
            &format!("sha512:{hex256}"),
            &format!("md5:{hex256}"),
            &format!("../sha256:{hex256}"),
            &format!("sha256:{}\0", &hex256[1..]),
        ] {
            assert!(Digest::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn known_digests_are_found() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").path(), ["blobs", "sha256", empty]);
        let abc = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                   2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        let digest = Digest::parse(&format!("sha512:{abc}")).expect("a digest");
        assert_eq!(digest.same_of(b"abc"), digest);
        assert_ne!(digest.same_of(b"abd"), digest);
    }
}
