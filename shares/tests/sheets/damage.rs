//! What time, hands and telephones do to a sheet, done to its pixels.

use rand_core::RngCore as _;

use crate::testing::Draw;

/// A page in shades of grey.
#[derive(Clone)]
pub struct Grey {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<u8>,
}

/// One thing that happens to it.
#[derive(Clone, Copy, Debug)]
pub enum Damage {
    /// Each pixel is off by up to so much.
    Noise(u8),
    /// Each pixel is the mean of those at most so far away, twice.
    Blur(usize),
    /// A lamp on one side: the other has 40 % of the light.
    Light,
    /// Taken from below: the far edge is narrower by this part.
    Perspective(f32),
    /// Turned by so many degrees, on a dark table.
    Turned(f32),
    /// A ring of coffee across the code.
    Stain,
    /// A pen's stroke from corner to corner of the code.
    Pen,
    /// Folded in four, through the code as well; one half lies in the shade.
    Fold,
}

impl Grey {
    /// From a binary PGM with 255 shades, as `pdftoppm` writes it.
    pub fn from_pgm(file: &[u8]) -> Self {
        let mut parts = file.splitn(4, |byte| byte.is_ascii_whitespace());
        let mut next = || parts.next().expect("a header");
        assert_eq!(next(), b"P5");
        let number = |text: &[u8]| -> usize {
            let text = std::str::from_utf8(text).expect("digits");
            text.parse().expect("a number")
        };
        let (width, height) = (number(next()), number(next()));
        let pixels = next().strip_prefix(b"255\n").expect("255 shades").to_vec();
        assert_eq!(pixels.len(), width * height);
        Self {
            width,
            height,
            pixels,
        }
    }

    pub fn pgm(&self) -> Vec<u8> {
        let mut file = format!("P5\n{} {}\n255\n", self.width, self.height).into_bytes();
        file.extend(&self.pixels);
        file
    }

    pub fn png(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let (width, height) = (self.width as u32, self.height as u32);
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_compression(png::Compression::Fast);
        let mut writer = encoder.write_header().expect("a header");
        writer.write_image_data(&self.pixels).expect("its pixels");
        writer.finish().expect("its end");
        file
    }

    /// Two pages side by side.
    pub fn beside(&self, other: &Self) -> Self {
        let height = self.height.max(other.height);
        let mut pixels = Vec::new();
        for y in 0..height {
            for page in [self, other] {
                pixels.extend((0..page.width).map(|x| page.at(x as i64, y as i64, 255)));
            }
        }
        Self {
            width: self.width + other.width,
            height,
            pixels,
        }
    }

    fn at(&self, x: i64, y: i64, outside: u8) -> u8 {
        let inside = x >= 0 && y >= 0 && x < self.width as i64 && y < self.height as i64;
        if inside {
            self.pixels[y as usize * self.width + x as usize]
        } else {
            outside
        }
    }

    /// Each pixel anew, from its place (column, row) and its shade.
    fn each(&self, shade: impl Fn(f32, f32, f32) -> f32) -> Self {
        let mut page = self.clone();
        for (n, pixel) in page.pixels.iter_mut().enumerate() {
            let (x, y) = ((n % self.width) as f32, (n / self.width) as f32);
            *pixel = shade(x, y, f32::from(*pixel)).clamp(0.0, 255.0) as u8;
        }
        page
    }

    /// Each pixel from somewhere else; between four pixels stands their weighted mean; a table is around the page.
    fn moved(&self, from: impl Fn(f32, f32) -> (f32, f32)) -> Self {
        const TABLE: u8 = 70;
        self.each(|x, y, _| {
            let (x, y) = from(x, y);
            let (left, top) = (x.floor(), y.floor());
            let (right, below) = (x - left, y - top);
            let near =
                |dx: i64, dy: i64| f32::from(self.at(left as i64 + dx, top as i64 + dy, TABLE));
            let upper = near(0, 0) * (1.0 - right) + near(1, 0) * right;
            let lower = near(0, 1) * (1.0 - right) + near(1, 1) * right;
            upper * (1.0 - below) + lower * below
        })
    }

    /// The QR code's upper left corner and side: the square of the page that the code's three corners span.
    fn code(&self, dpi: u32) -> (f32, f32, f32) {
        let mm = dpi as f32 / 25.4;
        let side = 58.0 * mm;
        let left = self.width as f32 - 16.0 * mm - side;
        // The first dark pixel in the column of the finder patterns' left edge, from below the head's text.
        let column = (left + 0.4 * mm) as i64;
        let dark = |y: i64| (0..(6.0 * mm) as i64).all(|n| self.at(column, y + n, 255) < 128);
        let top = (0..self.height as i64).find(|y| dark(*y)).expect("a code");
        (left, top as f32, side)
    }
}

impl Damage {
    pub fn done_to(self, page: &Grey, dpi: u32) -> Grey {
        let (width, height) = (page.width as f32, page.height as f32);
        let mm = dpi as f32 / 25.4;
        match self {
            Self::Noise(most) => {
                let mut draw = Draw::new(u64::from(most));
                let span = i32::from(most) * 2 + 1;
                let mut noisy = page.clone();
                for pixel in &mut noisy.pixels {
                    let off = (draw.next_u32() % span as u32) as i32 - i32::from(most);
                    *pixel = (i32::from(*pixel) + off).clamp(0, 255) as u8;
                }
                noisy
            }
            Self::Blur(far) => blurred(&blurred(page, far), far),
            Self::Light => {
                page.each(|x, y, shade| shade * (1.0 - 0.6 * (0.7 * x / width + 0.3 * y / height)))
            }
            Self::Perspective(part) => page.moved(|x, y| {
                // The upper edge is far away.
                let near = 1.0 - part * (1.0 - y / height);
                ((x - width / 2.0) / near + width / 2.0, y)
            }),
            Self::Turned(degrees) => {
                let (sin, cos) = degrees.to_radians().sin_cos();
                // Smaller, so that all of it stays in the picture.
                let scale = if degrees.abs() < 90.0 {
                    1.0 + sin.abs()
                } else {
                    1.0
                };
                page.moved(|x, y| {
                    let (x, y) = ((x - width / 2.0) * scale, (y - height / 2.0) * scale);
                    (
                        x * cos - y * sin + width / 2.0,
                        x * sin + y * cos + height / 2.0,
                    )
                })
            }
            Self::Stain => {
                let (left, top, side) = page.code(dpi);
                let (x0, y0) = (left + side * 0.65, top + side * 0.6);
                page.each(|x, y, shade| {
                    let away = ((x - x0).powi(2) + (y - y0).powi(2)).sqrt() / mm;
                    match away {
                        ..17.0 => shade * 0.85,
                        17.0..20.0 => shade * 0.55,
                        _ => shade,
                    }
                })
            }
            Self::Pen => {
                let (left, top, side) = page.code(dpi);
                page.each(|x, y, shade| {
                    let (x, y) = (x - left, y - top);
                    let inside = (0.0..side).contains(&x) && (0.0..side).contains(&y);
                    // 0.7 mm wide, across the middle, past the corners that the readers look for.
                    let off = ((y - side * 0.25 - x * 0.5) * 0.894).abs() / mm;
                    if inside && off < 0.35 { 40.0 } else { shade }
                })
            }
            Self::Fold => {
                let (left, top, side) = page.code(dpi);
                let (column, row) = (left + side * 0.5, top + side * 0.55);
                page.each(|x, y, shade| {
                    let crease = ((x - column).abs()).min((y - row).abs()) / mm;
                    let shade = if y > row { shade * 0.75 } else { shade };
                    // Toner has come off, and dirt has gone in.
                    if crease < 0.35 {
                        0.5 * shade + 100.0
                    } else {
                        shade
                    }
                })
            }
        }
    }
}

fn blurred(page: &Grey, far: usize) -> Grey {
    let mut blurred = page.clone();
    let far = far as i64;
    for y in 0..page.height as i64 {
        for x in 0..page.width as i64 {
            let mut sum = 0;
            for dy in -far..=far {
                for dx in -far..=far {
                    sum += i64::from(page.at(x + dx, y + dy, 255));
                }
            }
            blurred.pixels[y as usize * page.width + x as usize] =
                (sum / ((2 * far + 1) * (2 * far + 1))) as u8;
        }
    }
    blurred
}
