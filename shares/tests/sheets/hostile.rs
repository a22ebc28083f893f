//! Pictures that are no picture of one sheet: each gets an error that says so, and none ends the program.

use rand_core::RngCore as _;
use twotap_shares::{
    Error, Mnemonic,
    picture::{self, PictureError},
    sheet::{Paper, draw, qr_text},
};

use crate::{
    damage::Grey,
    paper::{Printed, single},
    testing::Draw,
};

/// A picture of one code that holds this.
fn code(text: &str) -> Grey {
    let code = qrcodegen::QrCode::encode_text(text, qrcodegen::QrCodeEcc::Medium).expect("short");
    let side = (code.size() + 8) as usize * 4;
    let dark = |n: usize| {
        let module = |at: usize| (at / 4) as i32 - 4;
        code.get_module(module(n % side), module(n / side))
    };
    Grey {
        width: side,
        height: side,
        pixels: (0..side * side)
            .map(|n| if dark(n) { 0 } else { 255 })
            .collect(),
    }
}

fn refused(file: &[u8]) -> PictureError {
    let why = picture::read(file).err().expect("no share");
    assert!(!why.hint().is_empty() && !why.to_string().is_empty());
    why
}

#[test]
fn a_code_with_something_else_is_no_share() {
    for text in [
        "https://example.com/",
        "AGE1LVYVWAWKR0MCNNNNCAGHUNADRQKMUF9E6507X9Y920XXPP866CNQL7DP2Z",
        "ABANDON ABILITY ABLE ABOUT",
        "ACADEMIC ACID",
        "0123456789",
    ] {
        assert_eq!(
            refused(&code(text).png()),
            PictureError::NotAShare,
            "{text}"
        );
    }
    let (_, shares) = single(2, 3);
    let mut words: Vec<&str> = shares[0].expose().split(' ').collect();
    words[9] = if words[9] == "zero" { "yoga" } else { "zero" };
    assert_eq!(
        refused(&code(&words.join(" ").to_uppercase()).png()),
        PictureError::Share(Error::Checksum { suspect: Some(10) })
    );
    let sound =
        picture::read(&code(&qr_text(&shares[0])).png()).unwrap_or_else(|why| panic!("{why}"));
    assert!(sound.expose() == shares[0].expose());
}

#[test]
fn two_codes_in_one_picture_are_refused() {
    let (set, shares) = single(2, 3);
    let pages: Vec<Grey> = shares
        .iter()
        .map(|share: &Mnemonic| Printed::new(&set, share, Paper::A4).page(150))
        .collect();
    let several = PictureError::Several { codes: 2 };
    assert_eq!(refused(&pages[0].beside(&pages[1]).png()), several);
    let other = code("https://example.com/");
    assert_eq!(refused(&pages[2].beside(&other).png()), several);
}

#[test]
fn what_is_cut_off_empty_or_another_kind_of_file_is_named() {
    let (set, shares) = single(2, 3);
    let pdf = draw(&set, &shares[0], Paper::A4).expect("a sheet");
    assert_eq!(refused(&pdf), PictureError::Pdf);
    assert_eq!(refused(&pdf[..300]), PictureError::Pdf);
    assert_eq!(refused(b""), PictureError::Kind);
    assert_eq!(refused(b"GIF89a"), PictureError::Kind);
    assert_eq!(refused(b"RIFF____WEBP"), PictureError::Kind);

    let printed = Printed::new(&set, &shares[0], Paper::A4);
    for format in ["-png", "-jpeg"] {
        let whole = printed.picture(100, format);
        for part in [8, 40, whole.len() / 3, whole.len() * 2 / 3] {
            assert_eq!(
                refused(&whole[..part]),
                PictureError::Broken,
                "{format}, {part} of {}",
                whole.len()
            );
        }
    }

    let paper = Grey {
        width: 800,
        height: 600,
        pixels: vec![250; 800 * 600],
    };
    assert_eq!(refused(&paper.png()), PictureError::NoCode);
}

#[test]
fn what_would_not_fit_into_memory_is_refused_before_it_is_unpacked() {
    // A header alone, as of a picture of 16000 by 16000; then one of an absurd width.
    for (width, height) in [(16_000u32, 16_000u32), (1_000_000, 10), (10, 1_000_000)] {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Grayscale);
        let writer = encoder.write_header().expect("a header");
        drop(writer);
        assert_eq!(
            refused(&file),
            PictureError::TooLarge,
            "{width} by {height}"
        );
    }
    let jpeg = Printed::new(&single(2, 3).0, &single(2, 3).1[0], Paper::A4).picture(72, "-jpeg");
    let frame = jpeg
        .windows(2)
        .position(|two| two == [0xff, 0xc0])
        .expect("a frame's header");
    let mut large = jpeg.clone();
    // Length, precision, then height and width.
    large[frame + 5..frame + 9].copy_from_slice(&[0x3e, 0x00, 0x3e, 0x00]);
    assert_eq!(refused(&large), PictureError::TooLarge);
    assert_eq!(
        refused(&vec![0x89; picture::MOST_BYTES + 1]),
        PictureError::TooLarge
    );
}

/// Whatever is done to a file or to its pixels: an error or the share, and an end.
#[test]
fn changed_pictures_do_no_harm() {
    let (set, shares) = single(2, 3);
    let printed = Printed::new(&set, &shares[0], Paper::A4);
    let mut draw = Draw::new(6);
    for format in ["-png", "-jpeg"] {
        let whole = printed.picture(72, format);
        for _ in 0..150 {
            let mut file = whole.clone();
            for _ in 0..=draw.next_u32() % 6 {
                let at = draw.next_u32() as usize % file.len();
                file[at] = draw.next_u32() as u8;
            }
            if let Ok(read) = picture::read(&file) {
                assert!(read.expose() == shares[0].expose());
            }
        }
    }
    // A code whose squares have moved: finders that fit together badly are what readers stumble over.
    let whole = code(&qr_text(&shares[0]));
    for _ in 0..150 {
        let mut page = whole.clone();
        for _ in 0..=draw.next_u32() % 8 {
            let (x, y, to) = (
                draw.next_u32() as usize % (page.width / 2),
                draw.next_u32() as usize % (page.height / 2),
                draw.next_u32() as usize % (page.width / 2),
            );
            for row in y..page.height / 2 + y {
                let from = row * page.width + x;
                page.pixels
                    .copy_within(from..from + page.width / 2, row * page.width + to);
            }
        }
        if let Ok(read) = picture::read(&page.png()) {
            assert!(read.expose() == shares[0].expose());
        }
    }
}
