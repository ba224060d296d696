//! From a layout to an image.

use crate::digest::Digest;
use crate::folder::Folder;
use crate::problem::{Kind, Problem};
use crate::reference::Reference;
use crate::schema::{
    self, Config, Descriptor, IMAGE_CONFIG, INDEX, Index, LAYER, MANIFEST, Manifest, Platform, REF_NAME, Settings,
    TITLE, WASM, WASM_CONFIG, WasmConfig,
};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Most bytes of a document. Registries take no larger manifest.
pub const MAX_DOCUMENT_BYTES: u64 = 4 << 20;
/// Most bytes of all blobs of an image.
const MAX_IMAGE_BYTES: u64 = 1 << 30;
/// Most images in an index.
pub const MAX_MANIFESTS: usize = 1024;
/// Most indexes on the way to an image.
const MAX_INDEXES: usize = 4;
/// Most layers of an image; container tools take about as many.
const MAX_LAYERS: usize = 128;
/// How many names a message lists.
const SHOWN: usize = 8;

/// An image, or an artifact, whose blobs were read and have their digests.
#[derive(Debug)]
pub struct Image {
    /// What it says about its run. An artifact says nothing.
    pub settings: Settings,
    pub(crate) content: Content,
}

/// Where the module of an image is.
#[derive(Debug)]
pub(crate) enum Content {
    /// The one layer is the module. The value is its file name, if it has one.
    Module(Vec<u8>, Option<String>),
    /// It is a file of these layers, the lowest first.
    Layers(Vec<Layer>),
}

/// A layer, as it is in the layout.
#[derive(Debug)]
pub(crate) struct Layer {
    pub bytes: Vec<u8>,
    pub is_packed: bool,
    /// Its file in the layout.
    pub place: String,
}

impl Image {
    /// Reads an image: its documents and all of its blobs. Each blob has the size and the digest that its descriptor says.
    ///
    /// # Errors
    /// What is wrong with the layout, or that the image is not in it.
    pub fn read(reference: &Reference) -> Result<Self, Problem> {
        let mut reader = Reader { folder: Folder::open(&reference.dir)?, left_bytes: MAX_IMAGE_BYTES };
        reader.folder.check_version()?;
        let index = Index::read(&reader.folder.read(&["index.json"], MAX_DOCUMENT_BYTES)?, "index.json")?;
        let manifest = reader.manifest(index, reference)?;
        let place = reader.place(&manifest)?;
        let manifest = Manifest::read(&reader.blob(&manifest, MAX_DOCUMENT_BYTES)?, &place)?;
        let config = reader.blob(&manifest.config, MAX_DOCUMENT_BYTES)?;
        let layers = manifest.layers.unwrap_or_default();
        if layers.len() > MAX_LAYERS {
            return Err(Problem::invalid(format!("it has {} layers, and at most {MAX_LAYERS} are read", layers.len()))
                .at(place));
        }
        match &*manifest.config.media_type {
            WASM_CONFIG => reader.artifact(&config, &layers, &place),
            IMAGE_CONFIG => {
                let place = reader.place(&manifest.config)?;
                let settings = schema::read::<Config>(&config, &place)?.config.unwrap_or_default();
                if settings.has_zero() {
                    return Err(Problem::invalid("an argument or a variable of the image has a zero in it").at(place));
                }
                Ok(Self { settings, content: reader.layers(&layers)? })
            }
            other => Err(Problem::invalid(format!(
                "it is neither an image nor a WebAssembly artifact: its configuration is `{other}`"
            ))
            .at(place)
            .fix(format!("the configuration of an image is `{IMAGE_CONFIG}`, that of an artifact `{WASM_CONFIG}`"))),
        }
    }
}

/// Reads blobs while they are not too many.
struct Reader {
    folder: Folder,
    left_bytes: u64,
}

impl Reader {
    /// The digest of a descriptor.
    fn digest(descriptor: &Descriptor) -> Result<Digest, Problem> {
        Digest::parse(&descriptor.digest)
            .map_err(|why| Problem::invalid(format!("`{}` is no digest: {why}", descriptor.digest)).at("a descriptor"))
    }

    /// The file of a blob in the layout.
    fn place(&self, descriptor: &Descriptor) -> Result<String, Problem> {
        Ok(Self::digest(descriptor)?.path().join("/"))
    }

    /// The bytes of a blob, with the size and the digest of its descriptor.
    fn blob(&mut self, descriptor: &Descriptor, most: u64) -> Result<Vec<u8>, Problem> {
        let digest = Self::digest(descriptor)?;
        let place = || digest.path().join("/");
        let most = most.min(self.left_bytes);
        let size = descriptor.size;
        if size > most {
            return Err(
                Problem::invalid(format!("its descriptor says {size} bytes, and at most {most} are read")).at(place())
            );
        }
        self.left_bytes -= size;
        // A layout without its blobs is not whole.
        let bytes =
            self.folder.read(&digest.path(), most).map_err(|problem| Problem { kind: Kind::Invalid, ..problem })?;
        if bytes.len() as u64 != size {
            return Err(Problem::invalid(format!("it has {} bytes, and its descriptor says {size}", bytes.len()))
                .at(place())
                .fix("copy the image again"));
        }
        let found = digest.same_of(&bytes);
        if found != digest {
            return Err(Problem::invalid(format!("its digest is {found}")).at(place()).fix("copy the image again"));
        }
        Ok(bytes)
    }

    /// The descriptor of the manifest that is asked for.
    fn manifest(&mut self, index: Index, reference: &Reference) -> Result<Descriptor, Problem> {
        let all = manifests(index, "index.json")?;
        let tagged = |descriptor: &Descriptor| {
            reference.tag.is_none() || descriptor.annotation(REF_NAME) == reference.tag.as_deref()
        };
        let candidates: Vec<_> = all.iter().filter(|descriptor| tagged(descriptor)).cloned().collect();
        if candidates.is_empty() {
            let what = match &reference.tag {
                Some(tag) => format!("no image has the tag `{tag}`"),
                None => "the layout has no image".to_owned(),
            };
            return Err(Problem::new(Kind::Missing, what).at("index.json").fix(known(&all, reference)));
        }
        let tags: BTreeSet<_> = candidates.iter().map(|descriptor| descriptor.annotation(REF_NAME)).collect();
        if tags.len() > 1 {
            let what = format!("the layout has {} images", tags.len());
            return Err(Problem::new(Kind::Usage, what).at("index.json").fix(known(&all, reference)));
        }
        let mut chosen = choose(candidates, "index.json")?;
        for _ in 0..MAX_INDEXES {
            if chosen.media_type != INDEX {
                return Ok(chosen);
            }
            let place = self.place(&chosen)?;
            let index = Index::read(&self.blob(&chosen, MAX_DOCUMENT_BYTES)?, &place)?;
            chosen = choose(manifests(index, &place)?, &place)?;
        }
        match &*chosen.media_type {
            MANIFEST => Ok(chosen),
            _ => Err(Problem::invalid(format!("it leads through more than {MAX_INDEXES} indexes")).at("index.json")),
        }
    }

    /// An artifact: its one layer is the module.
    fn artifact(&mut self, config: &[u8], layers: &[Descriptor], place: &str) -> Result<Image, Problem> {
        let config: WasmConfig = schema::read(config, place)?;
        let [layer] = layers else {
            return Err(
                Problem::invalid(format!("the artifact has {} layers, and one is supported", layers.len())).at(place)
            );
        };
        if layer.media_type != WASM {
            return Err(Problem::invalid(format!("the layer of the artifact is `{}`, not `{WASM}`", layer.media_type))
                .at(place));
        }
        if config.layer_digests.is_some_and(|digests| digests != [layer.digest.clone()]) {
            return Err(Problem::invalid("its configuration lists other layers than its manifest").at(place));
        }
        let name = layer
            .annotation(TITLE)
            .and_then(|title| title.rsplit('/').next())
            .filter(|name| !name.is_empty() && !name.contains('\0'));
        let content = Content::Module(self.blob(layer, MAX_IMAGE_BYTES)?, name.map(str::to_owned));
        Ok(Image { settings: Settings::default(), content })
    }

    /// The layers of an image. If it has one and that is a module, it is that.
    fn layers(&mut self, layers: &[Descriptor]) -> Result<Content, Problem> {
        if let [layer] = layers
            && layer.media_type == WASM
        {
            return Ok(Content::Module(self.blob(layer, MAX_IMAGE_BYTES)?, None));
        }
        let read = |layer: &Descriptor| {
            let place = self.place(layer)?;
            let is_packed = is_packed(&layer.media_type).map_err(|problem| problem.at(&place))?;
            Ok(Layer { bytes: self.blob(layer, MAX_IMAGE_BYTES)?, is_packed, place })
        };
        layers.iter().map(read).collect::<Result<_, _>>().map(Content::Layers)
    }
}

/// Whether a layer of this type is packed with gzip.
fn is_packed(media_type: &str) -> Result<bool, Problem> {
    let form = media_type.replace(".nondistributable.", ".");
    match form.strip_prefix(LAYER) {
        Some("") => Ok(false),
        Some("+gzip") => Ok(true),
        Some("+zstd") => Err(Problem::invalid("the layer is packed with zstd, which is not supported")
            .fix("build or push the image with layers in gzip: compression is an option of `buildah push` and `docker buildx`")),
        _ => Err(Problem::invalid(format!("the layer is a `{media_type}`, which is not supported"))
            .fix("the layers of an image are tar archives, packed with gzip or not")),
    }
}

/// The images of an index.
fn manifests(index: Index, place: &str) -> Result<Vec<Descriptor>, Problem> {
    let all = index.manifests.unwrap_or_default();
    if all.len() > MAX_MANIFESTS {
        let what = format!("the index lists {} images, and at most {MAX_MANIFESTS} are read", all.len());
        return Err(Problem::invalid(what).at(place));
    }
    Ok(all)
}

/// How well a platform suits, best first. `None` if it does not.
fn rank(descriptor: &Descriptor) -> Option<u8> {
    match descriptor.platform.as_ref().map(|platform| (&*platform.os, &*platform.architecture)) {
        Some(("wasi" | "wasip1", "wasm" | "wasm32")) => Some(0),
        // What images have that ordinary container tools run.
        Some(("linux", "amd64")) => Some(1),
        None => Some(2),
        Some(_) => None,
    }
}

/// The image for this platform among several.
fn choose(descriptors: Vec<Descriptor>, place: &str) -> Result<Descriptor, Problem> {
    // Others may follow in the format; they are no error as long as something is known.
    let is_known = |descriptor: &Descriptor| [INDEX, MANIFEST].contains(&&*descriptor.media_type);
    let ranked = descriptors.iter().filter(|descriptor| is_known(descriptor)).filter_map(|one| Some((rank(one)?, one)));
    let mut ranked: Vec<_> = ranked.collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let Some((best, first)) = ranked.first() else { return Err(unsuitable(&descriptors, place)) };
    let equal = ranked.iter().filter(|(rank, one)| rank == best && one.digest != first.digest).count();
    if equal > 0 {
        let what = format!("{} images have the same tag and platform", equal + 1);
        return Err(Problem::invalid(what).at(place).fix("give each image a tag of its own"));
    }
    Ok((*first).clone())
}

fn unsuitable(descriptors: &[Descriptor], place: &str) -> Problem {
    let kinds = descriptors.iter().take(SHOWN).map(|descriptor| match &descriptor.platform {
        Some(Platform { os, architecture }) => format!("{os}/{architecture}"),
        None => descriptor.media_type.clone(),
    });
    let kinds: Vec<_> = kinds.collect();
    let found = if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") };
    Problem::new(Kind::Missing, format!("no image is for wasi/wasm or linux/amd64: there is {found}")).at(place)
}

/// What could be asked for instead.
fn known(all: &[Descriptor], reference: &Reference) -> String {
    let tags: Vec<_> = all.iter().filter_map(|descriptor| descriptor.annotation(REF_NAME)).collect();
    if tags.is_empty() {
        return "no image of the layout has a tag".to_owned();
    }
    let mut text = "name one of:".to_owned();
    for tag in tags.iter().take(SHOWN) {
        // Writing to a string cannot fail.
        write!(text, " oci:{}:{tag}", reference.dir.display()).unwrap_or_default();
    }
    if tags.len() > SHOWN { text + " …" } else { text }
}
