//! `collector.wasm` is what `collector.wat` says.

use std::path::Path;

#[test]
fn the_binary_is_the_text() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/collector.wat");
    let assembled = wat::parse_file(&source).unwrap_or_else(|error| panic!("{error}"));
    if std::env::var_os("WAVE_BLESS").is_some() {
        std::fs::write(source.with_extension("wasm"), &assembled).unwrap_or_else(|error| panic!("{error}"));
        return;
    }
    assert!(
        assembled == wave_collector::MODULE,
        "collector.wasm is not collector.wat: WAVE_BLESS=1 cargo test -p wave-collector --test assembled"
    );
}
