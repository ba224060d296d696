//! Reads and writes OCI image layouts that hold a WebAssembly module: images, and the artifacts of the CNCF's WebAssembly group.
//!
//! A layout is a directory, and whoever made it is not trusted. Nothing in it is reached through a link. A blob counts only if it has
//! the size and the digest that its descriptor says. Documents, layers, entries and bytes have limits. Nothing is extracted to the file
//! system. There is no client of a registry: `skopeo` and `oras` copy images to a layout.
//!
//! Reading has two steps, so that a caller can do the second one in a process without rights: [`Image::read`] reads blobs and
//! documents, [`Image::find`] unpacks layers and finds the module, which takes no system call.
//!
//! | file | does |
//! |---|---|
//! | `reference` | `oci:DIR[:TAG]` |
//! | `image` | from a layout to an image: index, manifest, configuration, blobs |
//! | `schema` | the documents |
//! | `find` | from an image to its module |
//! | `tree` | the files of an image, layer by layer |
//! | `tar`, `gzip`, `inflate` | layers |
//! | `digest`, `sha2` | digests |
//! | `folder` | reading beneath a directory, without links |
//! | `pack` | writing a layout |
//!
//! Source: OCI image specification 1.1; <https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>.
#![forbid(unsafe_code)]

mod digest;
mod find;
mod folder;
mod gzip;
mod image;
mod inflate;
mod pack;
mod problem;
mod reference;
mod schema;
mod sha2;
mod tar;
mod tree;

pub use digest::Digest;
pub use find::Found;
pub use image::Image;
pub use pack::{Form, Layout, MAX_NAME_BYTES, is_tag};
pub use problem::{Kind, Problem};
pub use reference::Reference;
pub use schema::Settings;
