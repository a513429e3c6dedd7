//! `render_support TREE OUT`: writes the files of the support recipe for TREE below OUT.

#[path = "../tests/support_render/mod.rs"]
mod support_render;

use std::path::Path;

fn main() {
    let mut args = std::env::args().skip(1);
    let (Some(tree), Some(out)) = (args.next(), args.next()) else {
        eprintln!("usage: render_support TREE OUT");
        std::process::exit(2);
    };
    for (path, text) in support_render::render(Path::new(&tree)) {
        let file = Path::new(&out).join(path);
        // The tree may be a hard-linked copy: a new file, never a write into the old one.
        let _ = std::fs::remove_file(&file);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("folder");
        std::fs::write(&file, text).expect("file");
    }
}
