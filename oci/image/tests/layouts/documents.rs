//! Indexes, manifests and configurations: which image is meant, and what is none.

use crate::layout::{CONFIG, INDEX, Layout, MANIFEST, MODULE, TAR, WASM, file, other, platform, tagged, tar};
use serde_json::{Value, json};
use wave_image::Kind::{Invalid, Missing, Usage};

/// The manifest of an image with these bytes as its program.
fn image(layout: &Layout, entry: Vec<u8>) -> Value {
    let layer = layout.blob(TAR, &tar(&[entry]));
    layout.image(json!({ "Entrypoint": ["/app.wasm"] }), &[layer])
}

fn good(layout: &Layout) -> Value {
    image(layout, file("app.wasm"))
}

fn bad(layout: &Layout) -> Value {
    image(layout, other("app.wasm"))
}

fn nested(layout: &Layout, manifests: &[Value]) -> Value {
    layout.document(INDEX, &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests }))
}

#[test]
fn a_tag_names_one_image() {
    let layout = Layout::new();
    let [one, two] = [tagged(good(&layout), "one"), tagged(bad(&layout), "two")];
    layout.index(&[one.clone(), two.clone()]);
    let module = |tag: &str| {
        let image = layout.read_tag(Some(tag)).expect("an image");
        image.find(image.command(&[]).first().map(AsRef::as_ref)).expect("a module").module
    };
    assert_eq!([module("one"), module("two")], [MODULE.to_vec(), b"other".to_vec()]);
    let missing = layout.read_tag(Some("three")).expect_err("no such tag");
    assert_eq!((missing.kind, &*missing.what), (Missing, "no image has the tag `three`"));
    let names =
        format!("name one of: oci:{0}:one oci:{0}:two", layout.path("").to_string_lossy().trim_end_matches('/'));
    assert_eq!(missing.fix.replace("/:", ":"), names);
    let which = layout.read_tag(None).expect_err("no tag");
    assert_eq!((which.kind, &*which.what), (Usage, "the layout has 2 images"));
    assert_eq!(which.fix.replace("/:", ":"), names);
    layout.index(&[one]);
    layout.is_found();
    layout.index(&[]);
    layout.is_refused(Missing, "the layout has no image", "index.json");
}

#[test]
fn a_tag_that_names_two_images_is_refused() {
    let layout = Layout::new();
    let [one, two] = [tagged(good(&layout), "v1"), tagged(bad(&layout), "v1")];
    // The same image twice is one.
    layout.index(&[one.clone(), one.clone()]);
    layout.is_found();
    layout.index(&[one.clone(), two.clone()]);
    layout.is_refused(Invalid, "2 images have the same tag and platform", "index.json");
    layout.index(&[platform(one, "linux", "amd64"), platform(two, "linux", "amd64")]);
    layout.is_refused(Invalid, "2 images have the same tag and platform", "index.json");
}

#[test]
fn the_platform_chooses() {
    let layout = Layout::new();
    let [yes, no] = [good(&layout), bad(&layout)];
    for (first, second) in [(("wasi", "wasm"), ("linux", "amd64")), (("wasip1", "wasm"), ("linux", "amd64"))] {
        let pair = [platform(no.clone(), second.0, second.1), platform(yes.clone(), first.0, first.1)];
        layout.index(&pair);
        layout.is_found();
        layout.index(&[nested(&layout, &pair)]);
        layout.is_found();
    }
    layout
        .index(&[nested(&layout, &[platform(no.clone(), "linux", "arm64"), platform(yes.clone(), "linux", "amd64")])]);
    layout.is_found();
    layout.index(&[nested(&layout, &[no.clone(), platform(yes, "linux", "amd64")])]);
    layout.is_found();
    // What builders add about an image is none.
    let only = [platform(no.clone(), "linux", "arm64"), platform(no, "unknown", "unknown")];
    layout.index(&[nested(&layout, &only)]);
    let what = "no image is for wasi/wasm or linux/amd64: there is linux/arm64, unknown/unknown";
    layout.is_refused(Missing, what, "blobs/sha256/");
}

#[test]
fn unknown_media_types_are_skipped() {
    let layout = Layout::new();
    let yes = good(&layout);
    let unknown = layout.blob("application/xml", b"<x/>");
    layout.index(&[unknown.clone(), yes]);
    layout.is_found();
    layout.index(&[unknown]);
    layout.is_refused(Missing, "no image is for wasi/wasm or linux/amd64: there is application/xml", "index.json");
}

#[test]
fn indexes_are_followed_so_far() {
    let layout = Layout::new();
    let mut inner = good(&layout);
    for _ in 0..4 {
        inner = nested(&layout, &[inner]);
    }
    layout.index(std::slice::from_ref(&inner));
    layout.is_found();
    layout.index(&[nested(&layout, &[inner])]);
    layout.is_refused(Invalid, "it leads through more than 4 indexes", "index.json");
}

/// An index that has itself has no digest that could be found. One that says so is refused for its digest.
#[test]
fn an_index_that_leads_to_itself_is_refused() {
    let layout = Layout::new();
    let mut own = nested(&layout, &[]);
    let digest = own["digest"].as_str().expect("a digest").to_owned();
    let text = json!({ "schemaVersion": 2, "manifests": [own] }).to_string();
    layout.write(&format!("blobs/{}", digest.replace(':', "/")), text.as_bytes());
    own["size"] = json!(text.len());
    layout.index(&[own]);
    let problem = layout.find().expect_err("a refusal");
    assert!(problem.what.starts_with("its digest is sha256:"), "{problem:?}");
}

#[test]
fn counts_are_bounded() {
    let layout = Layout::new();
    let yes = good(&layout);
    layout.index(&vec![yes.clone(); 1024]);
    layout.is_found();
    layout.index(&vec![yes.clone(); 1025]);
    layout.is_refused(Invalid, "the index lists 1025 images, and at most 1024 are read", "index.json");
    layout.index(&[nested(&layout, &vec![yes; 1025])]);
    layout.is_refused(Invalid, "the index lists 1025 images, and at most 1024 are read", "blobs/sha256/");
    let with_layers = |count: usize| {
        let layout = Layout::new();
        let layer = layout.blob(TAR, &tar(&[file("app.wasm")]));
        layout.image(json!({ "Entrypoint": ["/app.wasm"] }), &vec![layer; count]);
        layout
    };
    with_layers(128).is_found();
    with_layers(129).is_refused(Invalid, "it has 129 layers, and at most 128 are read", "blobs/sha256/");
}

#[test]
fn a_document_is_what_its_descriptor_says() {
    let layout = Layout::new();
    let layer = layout.blob(TAR, &tar(&[file("app.wasm")]));
    let config = layout.document(CONFIG, &json!({ "config": { "Entrypoint": ["/app.wasm"] } }));
    let of = |manifest: Value| layout.index(&[layout.document(MANIFEST, &manifest)]);
    let full = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
    of(full.clone());
    layout.is_found();
    let change = |key: &str, value: Value| {
        let mut changed = full.clone();
        changed[key] = value;
        of(changed);
    };
    change("mediaType", Value::Null);
    layout.is_found();
    change("mediaType", json!(INDEX));
    layout.is_refused(Invalid, &format!("it is a `{INDEX}`, and `{MANIFEST}` was expected"), "blobs/sha256/");
    change("manifests", json!([]));
    layout.is_refused(Invalid, "it is an index and a manifest at the same time", "blobs/sha256/");
    change("schemaVersion", json!(1));
    layout.is_refused(Invalid, "its schemaVersion is 1, and 2 is supported", "blobs/sha256/");
    change("layers", Value::Null);
    layout.is_refused(Missing, "cannot find the program `/app.wasm` in the image: it is not there", "");
    layout.write("index.json", full.to_string().as_bytes());
    layout.is_refused(Invalid, &format!("it is a `{MANIFEST}`, and `{INDEX}` was expected"), "index.json");
    let mut both = json!({ "schemaVersion": 2, "manifests": [], "layers": [] });
    layout.write("index.json", both.to_string().as_bytes());
    layout.is_refused(Invalid, "it is an index and a manifest at the same time", "index.json");
    both["layers"].take();
    layout.write("index.json", both.to_string().as_bytes());
    layout.is_refused(Missing, "the layout has no image", "index.json");
}

#[test]
fn other_configurations_are_named() {
    let layout = Layout::new();
    for media_type in ["application/vnd.oci.empty.v1+json", "application/vnd.cncf.helm.config.v1+json", TAR] {
        let config = layout.document(media_type, &json!({}));
        layout.index(&[layout.manifest(&config, &[])]);
        let what = format!("it is neither an image nor a WebAssembly artifact: its configuration is `{media_type}`");
        layout.is_refused(Invalid, &what, "blobs/sha256/");
    }
}

#[test]
fn an_image_may_have_the_module_as_its_layer() {
    let layout = Layout::new();
    let layer = layout.blob(WASM, MODULE);
    layout.image(json!({ "Cmd": ["a"] }), std::slice::from_ref(&layer));
    layout.is_found();
    assert!(layout.read_tag(None).expect("an image").names_program());
    layout.image(json!({}), &[layer]);
    layout.is_found();
    assert!(!layout.read_tag(None).expect("an image").names_program());
}

#[test]
fn words_of_an_image_have_no_zeros() {
    for config in [json!({ "Cmd": ["a\0b"] }), json!({ "Entrypoint": ["\0"] }), json!({ "Env": ["A=\0"] })] {
        let layout = Layout::new();
        let layer = layout.blob(TAR, &tar(&[file("app.wasm")]));
        layout.image(config, &[layer]);
        layout.is_refused(Invalid, "an argument or a variable of the image has a zero in it", "blobs/sha256/");
    }
}

#[test]
fn a_layout_has_the_known_version() {
    let layout = Layout::new();
    good(&layout);
    layout.write("oci-layout", br#"{"imageLayoutVersion":"1.0.0","more":1}"#);
    layout.is_found();
    layout.write("oci-layout", br#"{"imageLayoutVersion":"2.0.0"}"#);
    layout.is_refused(Invalid, "the layout has version `2.0.0`, and 1.0.0 is supported", "oci-layout");
    for broken in [&b""[..], b"{}", b"[]", b"{\"imageLayoutVersion\":1}", b"\xff", &[b'['; 100_000]] {
        layout.write("oci-layout", broken);
        let problem = layout.find().expect_err("a refusal");
        assert!(problem.what.starts_with("it is not what it should be: "), "{problem:?}");
    }
}
