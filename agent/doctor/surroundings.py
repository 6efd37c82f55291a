"""Alarms of what the agent stands on: the board, its papers, the way to the broker."""

from __future__ import annotations

from agent.doctor.kinds import AlarmKind, Text

SURROUNDINGS: tuple[AlarmKind, ...] = (
    AlarmKind(
        "power.undervoltage",
        "major",
        Text("Живлення просідає нижче 4,63 В", "The supply sags below 4.63 V"),
        Text(
            "Поставте рідний блок живлення та короткий товстий кабель",
            "Use the maker's power supply and a short thick cable",
        ),
    ),
    AlarmKind(
        "power.throttled",
        "minor",
        Text("Процесор сповільнено", "The processor is slowed down"),
        Text("Охолодіть корпус; перевірте живлення", "Cool the box; check the supply"),
    ),
    AlarmKind(
        "temp.cpu",
        "major",
        Text("Процесор перегрівається", "The processor overheats"),
        Text(
            "Дайте корпусу повітря й тінь, поставте радіатор",
            "Give the box air and shade, fit a heat sink",
        ),
    ),
    AlarmKind(
        "mem.free",
        "major",
        Text("Пам'ять закінчується", "Memory runs out"),
        Text("Перезапустіть агента; зменште clips.ring_mb", "Restart the agent; lower clips.ring_mb"),
    ),
    AlarmKind(
        "disk.errors",
        "major",
        Text("Файлова система картки рахує помилки", "The card's file system counts errors"),
        Text(
            "Замініть картку; кліпи з неї спершу вивантажте (stairwell clips export)",
            "Replace the card; export its clips before (stairwell clips export)",
        ),
    ),
    AlarmKind(
        "sd.life",
        "major",
        Text("Ресурс пам'яті майже вичерпано", "The flash is almost worn out"),
        Text("Замініть картку завчасно", "Replace the card in time"),
    ),
    AlarmKind(
        "config.refused",
        "major",
        Text(
            "Налаштування міста відхилено, діють попередні",
            "The city's configuration was refused; the one before is in force",
        ),
        Text(
            "Причину названо в cfg/rep; опублікуйте виправлену ревізію з більшим номером",
            "cfg/rep tells why; publish a corrected revision with a higher number",
        ),
    ),
    AlarmKind(
        "config.rolled_back",
        "major",
        Text(
            "Комплект не зміг працювати з новими налаштуваннями й повернувся до попередніх",
            "The kit could not work with the new configuration and went back to the one before",
        ),
        Text(
            "Причину названо в cfg/rep; опублікуйте виправлену ревізію з більшим номером",
            "cfg/rep tells why; publish a corrected revision with a higher number",
        ),
    ),
    AlarmKind(
        "config.corrupt",
        "minor",
        Text(
            "Збережені налаштування міста були пошкоджені; діють останні справні",
            "The stored configuration of the city was damaged; the last good one is in force",
        ),
        Text(
            "Замініть картку, якщо це повториться; за потреби опублікуйте нову ревізію",
            "Replace the card if it comes again; publish a new revision if need be",
        ),
    ),
    AlarmKind(
        "net.dns",
        "major",
        Text("Ім'я брокера не знаходиться", "The broker's name cannot be resolved"),
        Text(
            "Перевірте backbone.host і сервери імен (resolvectl status)",
            "Check backbone.host and the name servers (resolvectl status)",
        ),
    ),
    AlarmKind(
        "net.tcp",
        "major",
        Text("Брокер недосяжний", "The broker cannot be reached"),
        Text(
            "Перевірте мережу комплекту, backbone.port і чи працює брокер",
            "Check the kit's network, backbone.port, and that the broker runs",
        ),
    ),
    AlarmKind(
        "net.tls",
        "major",
        Text("TLS з брокером не встановлюється", "There is no TLS with the broker"),
        Text(
            "stairwell doctor --only 'net.*' --only 'id.*' назве, чий сертифікат винен",
            "stairwell doctor --only 'net.*' --only 'id.*' names the certificate that is at fault",
        ),
    ),
    AlarmKind(
        "net.mqtt",
        "major",
        Text("Брокер не приймає комплект", "The broker does not take the kit"),
        Text(
            "Перевірте на брокері, чи знає він комплект; stairwell status каже причину",
            "See at the broker whether it knows the kit; stairwell status tells the cause",
        ),
    ),
    AlarmKind(
        "mqtt.acl",
        "major",
        Text("Брокер відмовляє в публікації", "The broker refuses what the kit publishes"),
        Text(
            "Перевірте ACL брокера і site та kit.id комплекту",
            "Check the broker's ACL, and the kit's site and kit.id",
        ),
    ),
    AlarmKind(
        "identity.cloned",
        "critical",
        Text("Хтось інший виступає цим комплектом", "Somebody else poses as this kit"),
        Text(
            "Відкличте сертифікат і видайте новий: картку скопійовано, або агентів два",
            "Revoke the certificate and issue another: the card was copied, or there are two agents",
        ),
    ),
    AlarmKind(
        "id.cert_expiry",
        "major",
        Text("Сертифікат комплекту закінчується", "The kit's certificate runs out"),
        Text("Видайте комплекту новий сертифікат", "Issue the kit a new certificate"),
    ),
    AlarmKind(
        "id.key_matches",
        "major",
        Text("Сертифікат і ключ комплекту не пара", "The kit's certificate and key are no pair"),
        Text("Видайте комплекту сертифікат до його ключа", "Issue the kit a certificate for its key"),
    ),
    AlarmKind(
        "clock.untrusted",
        "major",
        Text("Годинник не виставлено: TLS неможливий", "The clock is not set: TLS is impossible"),
        Text(
            "Дайте комплекту доступ до NTP (UDP 123) або поставте батарейку годинника",
            "Let the kit reach NTP (UDP 123), or give its clock a battery",
        ),
    ),
)
