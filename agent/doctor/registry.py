"""Every health alarm the agent can raise. The codes are part of the contract and never change meaning."""

from __future__ import annotations

from agent.doctor.kinds import AlarmKind, Severity, Text
from agent.doctor.surroundings import SURROUNDINGS

__all__ = ["ALARMS", "NO_PICTURES", "AlarmKind", "Severity", "Text"]

ALARMS: dict[str, AlarmKind] = {
    kind.code: kind
    for kind in (
        *SURROUNDINGS,
        AlarmKind(
            "camera.lost",
            "critical",
            Text("Камера не дає зображення", "The camera gives no pictures"),
            Text(
                "Перевірте кабель і живлення камери та ключ capture.source",
                "Check the camera's cable and power, and the key capture.source",
            ),
        ),
        AlarmKind(
            "camera.missing",
            "critical",
            Text("Камеру не знайдено", "No camera was found"),
            Text(
                "Вимкніть живлення й перевірте шлейф з обох боків; перевірте capture.source та config.txt",
                "Power off and check both ends of the ribbon cable; check capture.source and config.txt",
            ),
        ),
        AlarmKind(
            "camera.busy",
            "critical",
            Text("Камеру зайняла інша програма", "Another program holds the camera"),
            Text(
                "Закрийте її: sudo fuser -v /dev/media* /dev/video* покаже, хто це",
                "Stop it: sudo fuser -v /dev/media* /dev/video* shows which it is",
            ),
        ),
        AlarmKind(
            "camera.timeout",
            "critical",
            Text(
                "Матриця камери замовкла: кадрів немає",
                "The camera's sensor went silent: no frames arrive",
            ),
            Text(
                "Вимкніть живлення, перепідключіть шлейф камери з обох боків або замініть його",
                "Power off, then reseat both ends of the camera's ribbon cable, or replace it",
            ),
        ),
        AlarmKind(
            "camera.encoder",
            "critical",
            Text(
                "Апаратний кодер замовк: камера знімає, але відео немає",
                "The hardware encoder went silent: the camera films, but no video comes out",
            ),
            Text(
                'Перезавантажте комплект; якщо повторюється, поставте camera.encoder = "software"',
                'Restart the kit; if it comes back, set camera.encoder = "software"',
            ),
        ),
        AlarmKind(
            "camera.memory",
            "critical",
            Text("Камері бракує пам'яті (CMA)", "The camera gets no memory (CMA)"),
            Text(
                "Перезавантажте комплект; зменште camera.width і camera.height або додайте CMA у config.txt: "
                "dtoverlay=vc4-kms-v3d,cma-128",
                "Restart the kit; lower camera.width and camera.height, or give more in config.txt: "
                "dtoverlay=vc4-kms-v3d,cma-128",
            ),
        ),
        AlarmKind(
            "camera.driver",
            "critical",
            Text(
                "Програми камери (Picamera2, libcamera) не завантажуються",
                "The camera's software (Picamera2, libcamera) does not load",
            ),
            Text(
                "Встановіть: sudo apt install --no-install-recommends python3-picamera2",
                "Install it: sudo apt install --no-install-recommends python3-picamera2",
            ),
        ),
        AlarmKind(
            "camera.slow",
            "minor",
            Text(
                "Аналіз не встигає за камерою: кадри пропущено",
                "Analysis does not keep up with the camera: frames were skipped",
            ),
            Text(
                "Зменште capture.fps або detector.max_per_s; перевірте температуру",
                "Lower capture.fps or detector.max_per_s; check the temperature",
            ),
        ),
        AlarmKind(
            "detector.unusable",
            "critical",
            Text(
                "Детектор людей не працює: подій про людей не буде",
                "The person detector does not work: there will be no person events",
            ),
            Text(
                "Перевстановіть агент або виправте ключ detector.model",
                "Install the agent again, or correct the key detector.model",
            ),
        ),
        AlarmKind(
            "clips.disabled",
            "critical",
            Text(
                "Запис вимкнено: не задано ключів, якими запечатувати кліпи",
                "Nothing is recorded: there are no keys to seal clips to",
            ),
            Text(
                "Впишіть ключі міста (age1…) у clips.recipients",
                "Put the city's keys (age1…) into clips.recipients",
            ),
        ),
        AlarmKind(
            "clips.unsealed",
            "major",
            Text(
                "Кліпи не запечатано: вкрадена картка покаже все",
                "Clips are not sealed: a stolen card shows everything",
            ),
            Text(
                'Приберіть clips.seal = "none" і впишіть clips.recipients',
                'Remove clips.seal = "none" and set clips.recipients',
            ),
        ),
        AlarmKind(
            "clips.failed",
            "critical",
            Text("Кліп не вдалося записати", "A clip could not be written"),
            Text(
                "Перевірте місце на картці та її стан; замініть зношену картку",
                "Check the card's free space and state; replace a worn card",
            ),
        ),
        AlarmKind(
            "clips.lost",
            "major",
            Text("Файл кліпу зник із картки", "A clip's file has gone from the card"),
            Text(
                "З'ясуйте, хто мав доступ; перевірте картку",
                "Find out who had access; check the card",
            ),
        ),
        AlarmKind(
            "identity.replaced",
            "major",
            Text(
                "Ключ підпису був пошкоджений; створено новий",
                "The signing key was damaged; a new one was made",
            ),
            Text(
                "Замініть картку; збережіть новий kit.pub поруч зі старим",
                "Replace the card; keep the new kit.pub beside the old one",
            ),
        ),
        AlarmKind(
            "storage.corrupt",
            "major",
            Text(
                "База даних була пошкоджена; розпочато нову",
                "The database was damaged; a new one was begun",
            ),
            Text(
                "Замініть картку; стару базу збережено поруч для розслідування",
                "Replace the card; the old database lies beside for inquiry",
            ),
        ),
        AlarmKind(
            "storage.full",
            "critical",
            Text("На диску немає місця: запис зупинено", "The disk is full: recording has stopped"),
            Text(
                "Звільніть місце або зменште clips.max_mb; утримані кліпи не видаляються самі",
                "Free space, or lower clips.max_mb; clips on hold are never deleted by themselves",
            ),
        ),
        AlarmKind(
            "storage.readonly",
            "critical",
            Text("Картка перейшла в режим лише для читання", "The card has become read-only"),
            Text(
                "Замініть картку: так вона захищає те, що на ній ще є",
                "Replace the card: this is how it protects what is still on it",
            ),
        ),
        AlarmKind(
            "storage.failing",
            "critical",
            Text("Картка не читається або не пишеться", "The card fails to read or to write"),
            Text(
                "Замініть картку; кліпи з неї спершу вивантажте (stairwell clips export)",
                "Replace the card; export its clips before (stairwell clips export)",
            ),
        ),
        AlarmKind(
            "storage.mismatch",
            "critical",
            Text(
                "Картка віддає не те, що на неї записано",
                "The card gives back something else than was written",
            ),
            Text(
                "Замініть картку; stairwell clips check назве пошкоджені кліпи",
                "Replace the card; stairwell clips check names the damaged clips",
            ),
        ),
        AlarmKind(
            "storage.gone",
            "critical",
            Text("Диска з кліпами немає на місці", "The disk of the clips is not in its place"),
            Text(
                "Під'єднайте диск; якщо його замінено навмисно: stairwell clips check --repair",
                "Mount the disk; if it was replaced on purpose: stairwell clips check --repair",
            ),
        ),
        AlarmKind(
            "storage.refused",
            "critical",
            Text("Сховище не приймає запис", "Storage refuses writes"),
            Text(
                "Звільніть місце; замініть картку, якщо вона лише для читання",
                "Free space; replace the card if it has become read-only",
            ),
        ),
        AlarmKind(
            "rules.no_clock",
            "minor",
            Text(
                "Годинник не виставлено: правило нічного часу мовчить",
                "The clock was never set: the after-hours rule is silent",
            ),
            Text(
                "Дайте комплекту доступ до NTP або поставте батарейку годинника",
                "Give the kit a way to NTP, or a battery for its clock",
            ),
        ),
        AlarmKind(
            "scene.dark",
            "minor",
            Text("Темно: світло не горить", "Dark: the lamp is out"),
            Text("Перевірте лампу сходової клітки", "Check the stairwell's lamp"),
        ),
        AlarmKind(
            "scene.covered",
            "critical",
            Text("Об'єктив закрито", "The lens is covered"),
            Text("Огляньте камеру на місці", "Look at the camera on site"),
        ),
        AlarmKind(
            "scene.blinded",
            "critical",
            Text("Камеру засліплено", "The camera is blinded"),
            Text("Приберіть джерело світла перед камерою", "Remove the light that shines into the camera"),
        ),
        AlarmKind(
            "scene.moved",
            "critical",
            Text("Камеру повернуто", "The camera was turned"),
            Text("Поверніть камеру на місце й прийміть вид знову", "Aim it again and accept the view anew"),
        ),
        AlarmKind(
            "scene.blurred",
            "major",
            Text("Зображення нерізке", "The picture is blurred"),
            Text("Протріть об'єктив, перевірте фокус", "Clean the lens, check the focus"),
        ),
        AlarmKind(
            "scene.frozen",
            "critical",
            Text("Зображення застигло", "The picture is frozen"),
            Text("Перезапустіть набір; перевірте кабель камери", "Restart the kit; check the camera's cable"),
        ),
    )
}

NO_PICTURES = (
    "camera.lost",
    "camera.missing",
    "camera.busy",
    "camera.timeout",
    "camera.encoder",
    "camera.memory",
    "camera.driver",
)
"""Why there are no pictures; at most one of them is active, and none while pictures come."""
