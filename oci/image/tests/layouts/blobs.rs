//! Blobs: their names, sizes and digests, and what they are in the file system.

use crate::layout::{CONFIG, Layout, MODULE, TAR, WASM, WASM_CONFIG, file, tar};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;
use wave_image::Digest;
use wave_image::Kind::{Invalid, Missing};

/// A layout with an image, whose descriptor of the layer is changed.
fn with_layer(change: impl Fn(&Layout, &mut Value)) -> Layout {
    let layout = Layout::new();
    let mut layer = layout.blob(TAR, &tar(&[file("app.wasm")]));
    change(&layout, &mut layer);
    layout.image(json!({ "Entrypoint": ["/app.wasm"] }), &[layer]);
    layout
}

/// The path of the layer in a layout.
fn layer_of(layout: &Layout) -> std::path::PathBuf {
    layout.path(&Digest::of(&tar(&[file("app.wasm")])).path().join("/"))
}

#[test]
fn a_blob_with_its_size_and_digest_is_read() {
    with_layer(|_, _| {}).is_found();
    with_layer(|layout, layer| {
        let bytes = tar(&[file("app.wasm")]);
        let same = Digest::parse(&format!("sha512:{}", "0".repeat(128))).expect("a digest").same_of(&bytes);
        layout.write(&same.path().join("/"), &bytes);
        layer["digest"] = json!(same.to_string());
    })
    .is_found();
}

#[test]
fn a_blob_with_another_digest_is_refused() {
    let mut bytes = tar(&[file("app.wasm")]);
    *bytes.last_mut().expect("bytes") = 1;
    let found = format!("its digest is {}", Digest::of(&bytes));
    let layout = with_layer(|_, _| {});
    fs::write(layer_of(&layout), &bytes).expect("own file");
    layout.is_refused(Invalid, &found, "blobs/sha256/");
    // Manifest and configuration as well.
    let layout = Layout::new();
    let manifest = layout.image(json!({ "Entrypoint": ["/app.wasm"] }), &[layout.blob(TAR, &tar(&[file("app.wasm")]))]);
    let path = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().expect("a digest");
        layout.path(&format!("blobs/{}", digest.replace(':', "/")))
    };
    let text: Value = serde_json::from_slice(&fs::read(path(&manifest)).expect("own file")).expect("JSON");
    for blob in [path(&manifest), path(&text["config"])] {
        let good = fs::read(&blob).expect("own file");
        let bad = [&good[..good.len() - 1], b" "].concat();
        fs::write(&blob, &bad).expect("own file");
        layout.is_refused(Invalid, &format!("its digest is {}", Digest::of(&bad)), "blobs/sha256/");
        fs::write(&blob, good).expect("own file");
        layout.is_found();
    }
}

#[test]
fn a_size_that_is_not_that_of_the_blob_is_refused() {
    let real = tar(&[file("app.wasm")]).len();
    let of = |size: Value| with_layer(|_, layer| layer["size"] = size.clone());
    of(json!(real)).is_found();
    let says = |size: usize| format!("it has {real} bytes, and its descriptor says {size}");
    of(json!(real + 1)).is_refused(Invalid, &says(real + 1), "blobs/sha256/");
    of(json!(real - 1)).is_refused(Invalid, &says(real - 1), "blobs/sha256/");
    of(json!(0)).is_refused(Invalid, &says(0), "blobs/sha256/");
    for size in [(1_u64 << 30) + 1, u64::MAX] {
        let problem = of(json!(size)).find().expect_err("a refusal");
        assert_eq!(problem.kind, Invalid);
        assert!(
            problem.what.starts_with(&format!("its descriptor says {size} bytes, and at most 107374")),
            "{problem:?}"
        );
    }
    for size in [json!(-1), json!(1.5), json!("1"), Value::Null] {
        let problem = of(size).find().expect_err("a refusal");
        assert!(problem.what.starts_with("it is not what it should be: "), "{problem:?}");
    }
}

/// What all blobs have together is bounded: each takes from what the next ones may have.
#[test]
fn many_blobs_are_not_more_than_one() {
    let layout = Layout::new();
    let first = layout.blob(TAR, &tar(&[file("app.wasm")]));
    let mut second = first.clone();
    second["size"] = json!(1_u64 << 30);
    let manifest = layout.image(json!({ "Entrypoint": ["/app.wasm"] }), &[first.clone(), second]);
    let config = json!({ "architecture": "amd64", "os": "linux", "config": { "Entrypoint": ["/app.wasm"] } });
    let read =
        [&manifest, &layout.document(CONFIG, &config), &first].map(|blob| blob["size"].as_u64().expect("a size"));
    let left = (1 << 30) - read.iter().sum::<u64>();
    let what = format!("its descriptor says {} bytes, and at most {left} are read", 1 << 30);
    layout.is_refused(Invalid, &what, "blobs/sha256/");
}

#[test]
fn a_digest_is_no_path() {
    let hex = "0".repeat(64);
    for (digest, why) in [
        ("../../../../etc/passwd".to_owned(), "it has no colon"),
        (
            "sha256:../../../../../etc/passwd".to_owned(),
            "its second part is not the hexadecimal digits of such a digest",
        ),
        (
            format!("sha256:{}", "../".repeat(21) + "x"),
            "its second part is not the hexadecimal digits of such a digest",
        ),
        (format!("sha256:/{}", &hex[1..]), "its second part is not the hexadecimal digits of such a digest"),
        (format!("sha256:{}", "A".repeat(64)), "its second part is not the hexadecimal digits of such a digest"),
        (format!("sha256/../..:{hex}"), "only sha256 and sha512 are supported"),
        (format!("sha1:{}", &hex[24..]), "only sha256 and sha512 are supported"),
    ] {
        let layout = with_layer(|_, layer| layer["digest"] = json!(digest));
        layout.is_refused(Invalid, &format!("`{digest}` is no digest: {why}"), "a descriptor");
    }
}

#[test]
fn what_is_not_there_is_said() {
    let layout = with_layer(|_, _| {});
    fs::remove_file(layer_of(&layout)).expect("own file");
    layout.is_refused(Invalid, "it is missing from the layout", "blobs/sha256/");
    let layout = with_layer(|_, _| {});
    fs::remove_file(layout.path("index.json")).expect("own file");
    layout.is_refused(Missing, "it is missing from the layout", "index.json");
    fs::remove_file(layout.path("oci-layout")).expect("own file");
    let none = "the directory is no OCI image layout: it has no file `oci-layout`";
    layout.is_refused(Missing, none, "");
}

#[test]
fn links_in_a_layout_are_not_followed() {
    // A good file elsewhere, which the link leads to: the link alone is why it is refused.
    let elsewhere = tempfile::tempdir().expect("a directory");
    let moved = elsewhere.path().join("moved");
    let file_link = "it is not a regular file, and links are not followed";
    let directory_link = "it is not a directory, and links are not followed";
    for (name, what) in [
        ("oci-layout", file_link),
        ("index.json", file_link),
        ("blobs", directory_link),
        ("blobs/sha256", directory_link),
    ] {
        let layout = with_layer(|_, _| {});
        fs::rename(layout.path(name), &moved).expect("own files");
        symlink(&moved, layout.path(name)).expect("own directory");
        layout.is_refused(Invalid, what, name);
        fs::remove_file(layout.path(name)).expect("own link");
        fs::rename(&moved, layout.path(name)).expect("own files");
        layout.is_found();
    }
    let layout = with_layer(|_, _| {});
    fs::rename(layer_of(&layout), &moved).expect("own files");
    symlink(&moved, layer_of(&layout)).expect("own directory");
    layout.is_refused(Invalid, file_link, "blobs/sha256/");
    // The path that a user types may have links.
    let layout = with_layer(|_, _| {});
    symlink(layout.path(""), elsewhere.path().join("link")).expect("own directory");
    let reference = wave_image::Reference { dir: elsewhere.path().join("link"), tag: None };
    wave_image::Image::read(&reference).expect("an image");
}

#[test]
fn special_files_are_refused_without_waiting() {
    let layout = with_layer(|_, _| {});
    fs::remove_file(layer_of(&layout)).expect("own file");
    assert!(Command::new("mkfifo").arg(layer_of(&layout)).status().expect("mkfifo starts").success());
    layout.is_refused(Invalid, "it is not a regular file", "blobs/sha256/");
    fs::remove_file(layer_of(&layout)).expect("own file");
    fs::create_dir(layer_of(&layout)).expect("own directory");
    layout.is_refused(Invalid, "it is not a regular file", "blobs/sha256/");
    fs::remove_file(layout.path("index.json")).expect("own file");
    let listener = UnixListener::bind(layout.path("index.json")).expect("own directory");
    layout.is_refused(Invalid, "it is not a regular file", "index.json");
    drop(listener);
}

#[test]
fn documents_are_bounded() {
    let layout = with_layer(|_, _| {});
    let mut index = fs::read(layout.path("index.json")).expect("own file");
    index.resize(4 << 20, b' ');
    layout.write("index.json", &index);
    layout.is_found();
    index.push(b' ');
    layout.write("index.json", &index);
    layout.is_refused(Invalid, "it has 4194305 bytes, and at most 4194304 are read", "index.json");
    let sparse = fs::File::create(layout.path("index.json")).expect("own directory");
    sparse.set_len(1 << 40).expect("own file");
    layout.is_refused(Invalid, "it has 1099511627776 bytes, and at most 4194304 are read", "index.json");
}

#[test]
fn an_artifact_is_its_layer() {
    let artifact = |layers: &dyn Fn(&Layout) -> Vec<Value>, config: Value| {
        let layout = Layout::new();
        let manifest = layout.manifest(&layout.document(WASM_CONFIG, &config), &layers(&layout));
        layout.index(&[manifest]);
        layout
    };
    let one = |layout: &Layout| vec![layout.blob(WASM, MODULE)];
    artifact(&one, json!({})).is_found();
    let digest = Digest::of(MODULE).to_string();
    artifact(&one, json!({ "layerDigests": [digest] })).is_found();
    let wrong = artifact(&one, json!({ "layerDigests": [] }));
    wrong.is_refused(Invalid, "its configuration lists other layers than its manifest", "blobs/sha256/");
    let two = |layout: &Layout| vec![layout.blob(WASM, MODULE), layout.blob(WASM, b"\0asm")];
    artifact(&two, json!({})).is_refused(Invalid, "the artifact has 2 layers, and one is supported", "blobs/sha256/");
    artifact(&|_| vec![], json!({})).is_refused(Invalid, "the artifact has 0 layers, and one is supported", "");
    let other = |layout: &Layout| vec![layout.blob(TAR, &tar(&[file("app.wasm")]))];
    artifact(&other, json!({})).is_refused(Invalid, &format!("the layer of the artifact is `{TAR}`, not `{WASM}`"), "");
    let titled = |layout: &Layout| {
        let mut layer = layout.blob(WASM, MODULE);
        layer["annotations"] = json!({ "org.opencontainers.image.title": "dir/app.wasm" });
        vec![layer]
    };
    assert_eq!(artifact(&titled, json!({})).find().expect("a module").name.as_deref(), Some("app.wasm"));
}
