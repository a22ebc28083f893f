//! smoke
use twotap_token::*;
#[test]
fn smoke() {
    let dir = tempfile::tempdir().unwrap();
    let t = std::time::Instant::now();
    let p = Pcscd::start(&dir.path().join("pcsc"), 3).unwrap();
    eprintln!("start {:?}", t.elapsed());
    let a = p
        .insert(&TokenOptions::new(
            env!("CARGO_BIN_EXE_twotap-token"),
            dir.path(),
            1001,
        ))
        .unwrap();
    eprintln!("a {:?}", t.elapsed());
    let b = p
        .insert(&TokenOptions::new(
            env!("CARGO_BIN_EXE_twotap-token"),
            dir.path(),
            1002,
        ))
        .unwrap();
    eprintln!("b {:?}", t.elapsed());
    let c = p
        .insert(&TokenOptions::new(
            env!("CARGO_BIN_EXE_twotap-token"),
            dir.path(),
            1003,
        ))
        .unwrap();
    eprintln!("c {:?}", t.elapsed());
    let s = std::process::Command::new("sh").arg("-c").arg("yubico-piv-tool -a list-readers; for r in 'CCID 00 00' 'CCID 00 01' 'CCID 01 00'; do yubico-piv-tool -r \"$r\" -a status; done; setpriv --reuid 61010 --regid 61010 --clear-groups yubico-piv-tool -r Yubico -a version").env("PCSCLITE_CSOCK_NAME", p.socket()).status();
    eprintln!("{s:?} {}", p.log());
    eprintln!(
        "{:?} {:?}",
        c.control().unwrap().status().unwrap(),
        t.elapsed()
    );
    drop(a);
    drop(b);
    drop(c);
    drop(p);
    eprintln!("end {:?}", t.elapsed());
}
