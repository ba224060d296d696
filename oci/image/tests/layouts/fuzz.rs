//! Damage of every kind: an answer or a refusal, and never a panic.

use crate::layout::{GZIP, Layout, MODULE, TAR, directory, extended, file, gzip, hard_link, link, other, tar};
use proptest::prelude::*;
use serde_json::json;
use std::fs;

fn layer() -> Vec<u8> {
    tar(&[
        directory("bin"),
        other("bin/x"),
        extended(&[("path", "bin/app.wasm"), ("SCHILY.xattr.user.a", "b")]),
        file("short"),
        link("app.wasm", "bin/app.wasm"),
        hard_link("again", "bin/x"),
        other(".wh.gone"),
    ])
}

/// An image whose layer has these bytes.
fn image(bytes: &[u8], media_type: &str) -> Layout {
    let layout = Layout::new();
    let layer = layout.blob(media_type, bytes);
    layout.image(json!({ "Entrypoint": ["/app.wasm"] }), &[layer]);
    layout
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn damaged_layers_give_an_answer(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        fix_sums in any::<bool>(),
        is_packed in any::<bool>(),
    ) {
        let mut bytes = layer();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        // Most damage would stop at a checksum.
        if fix_sums {
            for block in bytes.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
                block[148..156].fill(b' ');
                let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
                block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
        }
        let layout = if is_packed { image(&gzip(&bytes), GZIP) } else { image(&bytes, TAR) };
        if let Ok(found) = layout.find() {
            prop_assert!(found.module.len() <= bytes.len());
        }
    }

    #[test]
    fn layers_of_anything_give_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..2048), is_packed in any::<bool>()) {
        let media_type = if is_packed { GZIP } else { TAR };
        prop_assert!(image(&bytes, media_type).find().is_err());
    }

    #[test]
    fn damaged_documents_give_an_answer(at in any::<prop::sample::Index>(), value in any::<u8>(), which in 0_usize..2, rest in any::<prop::sample::Index>()) {
        let layout = image(&layer(), TAR);
        let name = ["index.json", "oci-layout"][which];
        let mut bytes = fs::read(layout.path(name)).expect("own file");
        let at = at.index(bytes.len());
        bytes[at] = value;
        if rest.index(8) == 0 {
            bytes.truncate(at);
        }
        layout.write(name, &bytes);
        if let Ok(found) = layout.find() {
            prop_assert_eq!(found.module, MODULE);
        }
    }
}
