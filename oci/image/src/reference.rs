//! `oci:DIR[:TAG]`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// An image in a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The directory of the layout.
    pub dir: PathBuf,
    /// The tag of the image. Without it, the layout has one image.
    pub tag: Option<String>,
}

impl Reference {
    /// Reads `oci:DIR[:TAG]`. The directory ends at the first colon, as it does for `skopeo`, and a tag may have more of them.
    /// `None` for anything that does not start with `oci:`.
    #[must_use]
    pub fn parse(text: &OsStr) -> Option<Self> {
        let rest = text.as_bytes().strip_prefix(b"oci:")?;
        let mut parts = rest.splitn(2, |byte| *byte == b':');
        let dir = OsStr::from_bytes(parts.next().unwrap_or_default()).into();
        let tag = parts.next().filter(|tag| !tag.is_empty()).map(|tag| String::from_utf8_lossy(tag).into_owned());
        Some(Self { dir, tag })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_as_skopeo_reads_it() {
        let read =
            |text: &str| Reference::parse(text.as_ref()).map(|Reference { dir, tag }| (dir.display().to_string(), tag));
        assert_eq!(read("oci:a/b"), Some(("a/b".into(), None)));
        assert_eq!(read("oci:a/b:"), Some(("a/b".into(), None)));
        assert_eq!(read("oci:/a:v1"), Some(("/a".into(), Some("v1".into()))));
        assert_eq!(read("oci:a:host:5000/x:v1"), Some(("a".into(), Some("host:5000/x:v1".into()))));
        assert_eq!(read("./oci:a"), None);
        assert_eq!(read("app.wasm"), None);
    }
}
