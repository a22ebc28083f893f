//! A bundle and sheets that this version's first release wrote: they have to open for ever, with us and without us.
//!
//! Made once, by [`make`], with a key of AWS's own examples; nothing in there opens anything but itself.

use std::{fs, path::PathBuf, process::Command};

use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use twotap::{
    trust::{Envelope, recovery::Record},
    vault::{Ecdh, SealedShare, archive, bundle::Bundle, check_share, open},
};
use twotap_shares::Mnemonic;
use zeroize::Zeroizing;

use crate::{
    bench::{KEY, Machine, Sheets, Vault, arg, folder},
    stock::{joined, python},
};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/bundle-v1")
        .join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(golden(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

fn words() -> Vec<String> {
    text("sheets.txt").lines().map(str::to_owned).collect()
}

#[test]
fn the_first_bundle_opens_with_its_sheets() {
    for bundle in ["prod.tar", "prod.json"] {
        for quorum in [[0, 1], [1, 2], [2, 0]] {
            let machine = Machine::new();
            let file = machine.put("b", &fs::read(golden(bundle)).expect("there"));
            let words = words();
            let typed = format!("{}\n{}\n", words[quorum[0]], words[quorum[1]]);
            let args = ["recovery", "open", "--bundle", &file, "--words-fd", "0"];
            let ran = machine.run(&args, &typed);
            assert_eq!(ran.status, Some(0), "{ran:?}");
            assert_eq!(ran.stdout, KEY);
            let record = fs::read(machine.file("b.recovery.json")).expect("a record");
            let read = archive::read(&fs::read(golden(bundle)).expect("there")).expect("a bundle");
            let (chain, _) = read.bundle.verify().expect("good");
            let record = Envelope::parse(&record).expect("one");
            Record::verify(&record, &chain[0]).expect("signed by the sheets");
        }
    }
}

#[test]
fn a_photograph_of_a_first_sheet_still_counts() {
    let machine = Machine::new();
    let file = machine.put("b.tar", &fs::read(golden("prod.tar")).expect("there"));
    let (one, set) = (
        arg(&golden("sheet-3.png")),
        arg(&golden("prod.recovery.json")),
    );
    let args = [
        "recovery",
        "open",
        "--bundle",
        &file,
        "--image",
        &one,
        "--words-fd",
        "0",
        "--set",
        &set,
    ];
    let ran = machine.run(&args, &format!("{}\n", words()[0]));
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), KEY), "{ran:?}");
}

#[test]
fn the_first_bundle_opens_with_stock_tools() {
    let dir = folder();
    let unpacked = Command::new("tar")
        .arg("-xf")
        .arg(golden("prod.tar"))
        .current_dir(dir.path())
        .status();
    assert!(unpacked.expect("tar").success());
    let words = words();
    let hex = joined(dir.path(), &[&words[2], &words[1]], None);
    // The program as the bundle's own text has it.
    let readme = fs::read_to_string(dir.path().join("README.txt")).expect("there");
    let from = readme.find("c, p, n =").expect("a program");
    let to = from + readme[from..].find("print(").expect("its end");
    let to = to + readme[to..].find('\n').expect("a line");
    fs::write(dir.path().join("key.txt"), python(&readme[from..to], &hex)).expect("written");
    let opened = Command::new("age")
        .args(["-d", "-i", "key.txt", "vault.age"])
        .current_dir(dir.path())
        .output()
        .expect("age");
    assert_eq!(String::from_utf8(opened.stdout).expect("text"), KEY);
}

/// What its tokens would multiply, with keys that stand in a file here.
#[test]
fn the_first_shares_open_with_the_custodians_keys() {
    let read = archive::read(&fs::read(golden("prod.tar")).expect("there")).expect("a bundle");
    let bundle: Bundle = read.bundle;
    let (_, manifest) = bundle.verify().expect("good");
    let mut shares = Vec::new();
    for (line, share) in text("unseal-keys.txt").lines().zip(&bundle.shares) {
        let key = data_encoding::HEXLOWER
            .decode(line.as_bytes())
            .expect("hex");
        let key = Known(p256::SecretKey::from_slice(&key).expect("a key"));
        let words = SealedShare::parse(&share.age.0)
            .and_then(|sealed| sealed.open(&key))
            .expect("it opens");
        let mnemonic = Mnemonic::parse(std::str::from_utf8(&words).expect("words")).expect("good");
        check_share(&manifest, &share.custodian, &mnemonic).expect("the one that was sealed");
        shares.push(mnemonic);
    }
    let key = open(&bundle.vault_age.0, &manifest, &shares).expect("it opens");
    assert_eq!(key.to_json().as_slice(), KEY.as_bytes());
}

/// What an archive of today looks like must be what it looked like then: copies are compared by their digests.
#[test]
fn the_first_archive_is_still_spelt_the_same() {
    let file = fs::read(golden("prod.tar")).expect("there");
    let read = archive::read(&file).expect("a bundle");
    assert_eq!(read.form, archive::Form::Archive { readme: true });
    assert_eq!(archive::write(&read.bundle).expect("written"), file);
    assert_eq!(read.bundle.to_json(), text("prod.json"));
}

struct Known(p256::SecretKey);

impl Ecdh for Known {
    fn shared(&self, peer: &[u8; 65]) -> Result<Zeroizing<[u8; 32]>, String> {
        let peer = p256::PublicKey::from_sec1_bytes(peer).map_err(|why| why.to_string())?;
        assert_eq!(peer.to_encoded_point(false).len(), 65);
        let shared = p256::ecdh::diffie_hellman(self.0.to_nonzero_scalar(), peer.as_affine());
        Ok(Zeroizing::new((*shared.raw_secret_bytes()).into()))
    }

    fn public(&self) -> p256::PublicKey {
        self.0.public_key()
    }
}

#[test]
#[ignore = "makes new golden files, beside those that must stay"]
fn make() {
    let sheets = Sheets::two_of_three();
    let vault = Vault::new("prod", sheets.entry());
    let bundle = vault.bundle(1);
    let put = |name: &str, bytes: &[u8]| {
        fs::create_dir_all(golden("")).expect("a folder");
        assert!(!golden(name).exists(), "{name} is there, and stays");
        fs::write(golden(name), bytes).expect("written");
    };
    put("prod.tar", &archive::write(&bundle).expect("written"));
    put("prod.json", bundle.to_json().as_bytes());
    put("sheets.txt", sheets.lines(&[0, 1, 2]).as_bytes());
    put(
        "prod.recovery.json",
        &fs::read(&sheets.record).expect("there"),
    );
    put(
        "sheet-3.png",
        &fs::read(&sheets.pictures[2]).expect("there"),
    );
    for (n, pdf) in (1..).zip(&sheets.pdfs) {
        put(&format!("sheet-{n}.pdf"), &fs::read(pdf).expect("there"));
    }
    let keys: Vec<String> = vault.custodians.iter().map(|c| c.unseal_hex()).collect();
    put(
        "unseal-keys.txt",
        format!("{}\n", keys.join("\n")).as_bytes(),
    );
}
