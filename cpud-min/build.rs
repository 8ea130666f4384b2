//! Links `cpud` alone: no C start files, no libc, no dynamic loader. Tests and build scripts link as usual. Names the
//! commit that it is built from, and its time.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=discard.ld");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    println!("cargo::rerun-if-env-changed=CPUD_COMMIT");
    println!("cargo::rerun-if-env-changed=CPUD_COMMIT_TIME");
    // scripts/build-cpud.sh says which.
    let commit = std::env::var("CPUD_COMMIT").unwrap_or_else(|_| "unknown".into());
    println!("cargo::rustc-env=CPUD_COMMIT={commit}");
    let time = std::env::var("CPUD_COMMIT_TIME").unwrap_or_else(|_| "1735689600".into());
    println!("cargo::rustc-env=CPUD_COMMIT_TIME={time}");
    let linker = std::env::var("RUSTC_LINKER").unwrap_or_default();
    let bare = linker.ends_with("lld");
    let script = format!("-T{}/discard.ld", std::env::var("CARGO_MANIFEST_DIR").unwrap());
    let start: &[&str] =
        if bare { &["-static", "--no-pie"] } else { &["-nostartfiles", "-nostdlib", "-static", "-no-pie"] };
    for arg in start {
        println!("cargo::rustc-link-arg-bin=cpud={arg}");
    }
    for arg in ["--build-id=none", "--gc-sections", "--no-eh-frame-hdr", "-zmax-page-size=4096", "-znoexecstack"] {
        let prefix = if bare { "" } else { "-Wl," };
        println!("cargo::rustc-link-arg-bin=cpud={prefix}{arg}");
    }
    // Both take it as it is; after -Wl, a comma in the folder's name would part it.
    println!("cargo::rustc-link-arg-bin=cpud={script}");
}
