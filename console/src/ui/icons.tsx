import type { ReactNode } from 'react'

function icon(children: ReactNode) {
  return function Icon({ size = 16 }: { size?: number }) {
    return (
      <svg
        width={size}
        height={size}
        viewBox="0 0 24 24"
        fill="none"
        stroke="currentColor"
        strokeWidth={2}
        strokeLinecap="round"
        strokeLinejoin="round"
        aria-hidden
      >
        {children}
      </svg>
    )
  }
}

export const IconCheck = icon(<path d="M5 12l5 5L20 7" />)
export const IconCopy = icon(<path d="M9 9h11v11H9zM5 15H4V4h11v1" />)
export const IconHome = icon(<path d="M4 11l8-7 8 7v9h-5v-6H9v6H4z" />)
export const IconTable = icon(<path d="M4 5h16v14H4zM4 10h16M10 10v9" />)
export const IconStream = icon(<path d="M4 12h3M10 12h4M17 12h3M8.5 12a0 0 0 1 0 0 .01M15.5 12a0 0 0 1 0 0 .01M4 6h16M4 18h16" />)
export const IconUpload = icon(<path d="M12 16V4M7 9l5-5 5 5M4 17v3h16v-3" />)
export const IconAlert = icon(<path d="M12 4l9 16H3zM12 10v4M12 17v.01" />)
export const IconClock = icon(<path d="M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3 3" />)
export const IconEye = icon(<path d="M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z" />)
export const IconMap = icon(<path d="M4 4h6v5H4zM14 15h6v5h-6zM7 9v4a2 2 0 0 0 2 2h5" />)
export const IconMail = icon(<path d="M3 6h18v13H3zM3 7l9 7 9-7" />)
export const IconBag = icon(<path d="M6 8h12l1 12H5zM9 8V6a3 3 0 0 1 6 0v2" />)
export const IconSearch = icon(<path d="M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM20 20l-4-4" />)
export const IconPlus = icon(<path d="M12 5v14M5 12h14" />)
export const IconDownload = icon(<path d="M12 4v12M7 11l5 5 5-5M4 20h16" />)
export const IconUser = icon(<path d="M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4 21a8 8 0 0 1 16 0" />)
export const IconTrace = icon(<path d="M5 5v9a3 3 0 0 0 3 3h11M5 9h14M16 6l3 3-3 3M16 14l3 3-3 3" />)
export const IconLeft = icon(<path d="M15 5l-7 7 7 7" />)
export const IconRight = icon(<path d="M9 5l7 7-7 7" />)
export const IconDots = icon(<path d="M12 6v.01M12 12v.01M12 18v.01" />)
