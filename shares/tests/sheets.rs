//! Sheets as people get them: drawn, printed, photographed, read back by two readers, and looked through for what must not stand there.
//!
//! Needs `zbarimg` (zbar-tools) and `pdftoppm`, `pdftotext`, `pdffonts`, `pdfinfo` (poppler-utils).

#[path = "sheets/damage.rs"]
mod damage;
#[path = "sheets/hostile.rs"]
mod hostile;
#[path = "sheets/paper.rs"]
mod paper;
#[path = "../src/testing.rs"]
#[allow(dead_code)]
mod testing;
#[path = "sheets/text.rs"]
mod text;

use twotap_shares::{
    picture,
    sheet::{Paper, qr_text},
};

use damage::{Damage, Grey};
use paper::{Printed, single};

const PAPERS: [Paper; 2] = [Paper::A4, Paper::Letter];

#[test]
fn zbar_reads_the_code_from_72_to_300_dpi_on_both_papers() {
    let (set, shares) = single(3, 5);
    for (paper, share) in PAPERS.into_iter().zip(&shares) {
        let printed = Printed::new(&set, share, paper);
        for dpi in [72, 100, 150, 300] {
            let read = paper::zbar(&printed.page(dpi));
            assert!(
                read == [qr_text(share).to_string()],
                "{paper:?} at {dpi} dpi: {} codes",
                read.len()
            );
        }
    }
}

#[test]
fn our_reader_reads_png_and_jpeg_from_100_dpi_on_both_papers() {
    let (set, shares) = single(3, 5);
    for (paper, share) in PAPERS.into_iter().zip(&shares) {
        let printed = Printed::new(&set, share, paper);
        for dpi in [100, 120, 150, 200, 300] {
            for format in ["-png", "-jpeg"] {
                let file = printed.picture(dpi, format);
                let read = picture::read(&file)
                    .unwrap_or_else(|why| panic!("{paper:?} at {dpi} dpi, {format}: {why}"));
                assert!(read.expose() == share.expose());
            }
        }
    }
}

/// What happens to paper, and to pictures of it.
const DAMAGE: [Damage; 9] = [
    Damage::Noise(70),
    Damage::Blur(1),
    Damage::Light,
    Damage::Perspective(0.10),
    Damage::Turned(180.0),
    Damage::Turned(8.0),
    Damage::Stain,
    Damage::Pen,
    Damage::Fold,
];

#[test]
fn both_readers_read_a_sheet_that_has_lived() {
    let (set, shares) = single(3, 5);
    let share = &shares[1];
    let printed = Printed::new(&set, share, Paper::A4);
    for dpi in [150, 200] {
        let page = printed.page(dpi);
        for damage in DAMAGE {
            let damaged = damage.done_to(&page, dpi);
            read_by_both(&damaged, share, &format!("{damage:?} at {dpi} dpi"));
        }
    }
}

#[test]
fn both_readers_read_a_sheet_with_all_of_it_together() {
    let (set, shares) = single(3, 5);
    let printed = Printed::new(&set, &shares[2], Paper::Letter);
    let mut page = printed.page(200);
    for damage in [
        Damage::Fold,
        Damage::Pen,
        Damage::Light,
        Damage::Turned(3.0),
        Damage::Blur(1),
        Damage::Noise(30),
    ] {
        page = damage.done_to(&page, 200);
    }
    read_by_both(&page, &shares[2], "all together");
}

fn read_by_both(page: &Grey, share: &twotap_shares::Mnemonic, what: &str) {
    let ours = picture::read(&page.png()).unwrap_or_else(|why| panic!("{what}: {why}"));
    assert!(ours.expose() == share.expose(), "{what}");
    let zbar = paper::zbar(page);
    assert!(
        zbar == [qr_text(share).to_string()],
        "{what}: zbarimg reads {} codes",
        zbar.len()
    );
}
