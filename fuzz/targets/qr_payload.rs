//! Whatever a QR code holds: the share that the same words are when they are typed, or an error that says that it is none.

use twotap_shares::{
    Error, Mnemonic,
    picture::{self, PictureError},
    sheet,
};

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match (picture::share(text), Mnemonic::parse(text)) {
        (Ok(read), Ok(typed)) => {
            assert!(read.expose() == typed.expose());
            // What a sheet of it would hold.
            let printed = sheet::qr_text(&read);
            let alphanumeric = |c: char| c == ' ' || c.is_ascii_uppercase();
            assert!(printed.chars().all(alphanumeric));
            let again = picture::share(&printed).ok().expect("what was printed");
            assert!(again.expose() == read.expose());
        }
        (Err(PictureError::NotAShare), Err(Error::UnknownWord { .. } | Error::Length { .. })) => {}
        (Err(PictureError::Share(said)), Err(why)) => assert_eq!(said, why),
        (Ok(_), Err(why)) => panic!("a share that cannot be typed: {why}"),
        (Err(why), _) => panic!("not read: {why}"),
    }
}
